/* config_environment: the environment of the process as it was at the start. The process scrubs its
 * own soon after, so that no child and no dump carries secrets, but a later gateway.lua may name a
 * variable that the first one did not. */
#include "config_parts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct gate_config_environment {
    _Atomic uint32_t refs;
    size_t len; /* of text */
    char *text; /* "NAME=value", each with its NUL; an empty one ends it */
};

struct gate_config_environment *gate_config_environment_create(void)
{
    struct gate_config_environment *e = gate_calloc(1, sizeof *e);
    char *at;

    atomic_init(&e->refs, 1);
    e->len = 1;
    for (char **line = environ; line != NULL && *line != NULL; line++)
        if (**line != '\0')
            e->len += strlen(*line) + 1;
    e->text = gate_calloc(e->len, 1);
    at = e->text;
    for (char **line = environ; line != NULL && *line != NULL; line++) {
        size_t size = strlen(*line) + 1;

        if (size > 1)
            at = (char *)memcpy(at, *line, size) + size;
    }
    return e;
}

struct gate_config_environment *gate_config_environment_retain(struct gate_config_environment *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void gate_config_environment_release(struct gate_config_environment *e)
{
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    gate_wipe(e->text, e->len);
    free(e->text);
    free(e);
}

const char *gate_config_env(const struct gate_config *c, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = c->environment->text; *line != '\0'; line += strlen(line) + 1)
        if (strncmp(line, name, len) == 0 && line[len] == '=')
            return line[len + 1] != '\0' ? line + len + 1 : NULL;
    return NULL;
}
