/* Runs every Lua example of docs/scripting.md and checks its "--> request => result" lines. */
#include "script_util.h"

enum { LINE = 512, HEADERS = 4 };

/* A request that a line describes: "model=m stream=true header.x-team=a". */
struct request {
    char text[LINE];
    struct gate_request_facts facts;
    struct gate_header headers[HEADERS];
    struct gate_route_view view;
};

static void set_word(struct request *r, const char *key, const char *value)
{
    unsigned long number = strtoul(value, NULL, 10);
    bool yes = strcmp(value, "true") == 0;
    if (strcmp(key, "model") == 0)
        r->view.model = gate_str_of(value);
    else if (strcmp(key, "key") == 0)
        r->view.key_name = gate_str_of(value);
    else if (strcmp(key, "path") == 0)
        r->view.path = gate_str_of(value);
    else if (strcmp(key, "body") == 0)
        r->view.body_bytes = number;
    else if (strcmp(key, "messages") == 0)
        r->facts.message_count = (uint32_t)number;
    else if (strcmp(key, "tools") == 0)
        r->facts.tool_count = (uint32_t)number;
    else if (strcmp(key, "max_tokens") == 0)
        r->facts.max_tokens = number;
    else if (strcmp(key, "stream") == 0)
        r->facts.stream = yes;
    else if (strcmp(key, "images") == 0)
        r->facts.has_images = yes;
    else if (strncmp(key, "header.", 7) == 0 && r->view.header_count < HEADERS)
        r->headers[r->view.header_count++] =
            (struct gate_header){gate_str_of(key + 7), gate_str_of(value)};
    else
        ck_abort_msg("unknown word %s in an example", key);
}

static void parse_request(struct request *r, const char *text)
{
    *r = (struct request){.view = {.path = GATE_STR("/v1/chat/completions")}};
    snprintf(r->text, sizeof r->text, "%s", text);
    r->view.facts = &r->facts;
    r->view.headers = r->headers;
    char *rest = NULL;
    for (char *word = strtok_r(r->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        ck_assert_msg(value != NULL, "%s", text);
        *value = '\0';
        set_word(r, word, value + 1);
    }
}

static void show_decision(const struct gate_decision *d, struct gate_buf *out)
{
    if (d->target_count == 0)
        gate_buf_printf(out, "(own name)");
    for (size_t i = 0; i < d->target_count; i++) {
        const struct gate_target *t = &d->targets[i];
        gate_buf_printf(out, "%s%.*s", i > 0 ? ", " : "", (int)t->name.len, t->name.ptr);
        if (t->first_token_ms > 0)
            gate_buf_printf(out, " first_token_ms=%u", t->first_token_ms);
        if (t->idle_ms > 0)
            gate_buf_printf(out, " idle_ms=%u", t->idle_ms);
        if (t->total_ms > 0)
            gate_buf_printf(out, " total_ms=%u", t->total_ms);
    }
}

/* What becomes of the request, in the words of the page. */
static void answer(struct gate_generation *g, struct gate_script *s, bool models,
                   const char *request, struct gate_buf *out)
{
    if (models) {
        struct gate_str target = gate_generation_map(g, gate_str_of(request));
        gate_buf_append(out, target.len > 0 ? target : GATE_STR("(own name)"));
    } else {
        struct request r;
        struct gate_decision d;
        struct gate_error err;
        parse_request(&r, request);
        if (gate_script_route(s, &r.view, &d, &err) == GATE_OK)
            show_decision(&d, out);
        else
            gate_buf_printf(out, "error: %s", err.message);
    }
    gate_buf_append_byte(out, '\0');
}

static int check_lines(struct gate_generation *g, struct gate_script *s, bool models, char *block)
{
    int checked = 0;
    char *rest = NULL;
    for (char *line = strtok_r(block, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        struct gate_buf got;
        if (strncmp(line, "--> ", 4) != 0)
            continue;
        char *arrow = strstr(line + 4, " => ");
        ck_assert_msg(arrow != NULL, "%s", line);
        *arrow = '\0';
        gate_buf_init(&got, 4096);
        answer(g, s, models, line + 4, &got);
        ck_assert_msg(strcmp(got.ptr, arrow + 4) == 0, "%s\nthe page says %s\nit is        %s",
                      line + 4, arrow + 4, got.ptr);
        gate_buf_finish(&got);
        checked++;
    }
    return checked;
}

static void run_block(const char *text, size_t len)
{
    struct test_dir dir;
    struct gate_generation *g;
    struct gate_script *s;
    struct gate_error err = {0};
    char *block = gate_strdup((struct gate_str){text, len});
    bool models = strncmp(block, "-- conf/models.lua\n", 19) == 0;
    ck_assert_msg(models || strncmp(block, "-- conf/routing.lua\n", 20) == 0,
                  "an example must name its file:\n%s", block);
    test_dir_init(&dir);
    test_dir_write(&dir, models ? "conf/models.lua" : "conf/routing.lua", block);
    ck_assert_msg(
        gate_generation_load(dir.conf, GATE_SOURCE_DIR "/scripts", NULL, 0, 1, &g, &err) == GATE_OK,
        "%s\n%s", block, err.message);
    ck_assert_int_eq(gate_script_create(g, &s, &err), GATE_OK);
    ck_assert_msg(check_lines(g, s, models, block) > 0, "no --> line in\n%s", block);
    gate_script_destroy(s);
    gate_generation_release(g);
    test_dir_finish(&dir);
    free(block);
}

START_TEST(every_example_does_what_the_page_says)
{
    struct gate_str page = test_read_file(GATE_SOURCE_DIR "/docs/scripting.md");
    int blocks = 0;
    const char *at = page.ptr;
    while ((at = strstr(at, "\n```lua\n")) != NULL) {
        at += 8;
        const char *end = strstr(at, "\n```");
        ck_assert(end != NULL);
        run_block(at, (size_t)(end - at));
        at = end;
        blocks++;
    }
    printf("examples of docs/scripting.md: %d\n", blocks);
    ck_assert_int_ge(blocks, 10);
    free((char *)page.ptr);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("docs");
    tcase_add_test(tc, every_example_does_what_the_page_says);
    return test_main(tc, "script_docs");
}
