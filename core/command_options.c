#include "command_internal.h"
#include <getopt.h>
#include <stdlib.h>

enum { TITLE = 64, HELP = 'h', FIRST = 256 };

int command_fail(const struct gate_error *err)
{
    fprintf(stderr, "llm-gate: %s\n", err->message);
    return EXIT_FAILURE;
}

int command_missing(const char *operand, const char *usage)
{
    fprintf(stderr, "llm-gate: %s is missing\n\n%s", operand, usage);
    return GATE_COMMAND_USAGE;
}

static int refuse(const char *usage)
{
    fprintf(stderr, "\n%s", usage);
    return GATE_COMMAND_USAGE;
}

static int take(int id, const char *usage, const struct command_option *options, size_t count)
{
    if (id == HELP) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    if (id < FIRST || (size_t)(id - FIRST) >= count)
        return refuse(usage); /* getopt has said what is wrong */
    const struct command_option *o = &options[id - FIRST];
    if (o->value != NULL)
        *o->value = optarg;
    else
        *o->flag = true;
    return -1;
}

static int take_operand(int argc, char **argv, const char *usage, const char **operand)
{
    int wanted = operand != NULL ? 1 : 0;
    if (operand != NULL)
        *operand = optind < argc ? argv[optind] : NULL;
    if (argc - optind <= wanted)
        return -1;
    fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[optind + wanted]);
    return refuse(usage);
}

int command_options(int argc, char **argv, const char *usage, const struct command_option *options,
                    size_t count, const char **operand)
{
    struct option list[COMMAND_MAX_OPTIONS + 2] = {{"help", no_argument, NULL, HELP}};
    char title[TITLE];
    int id, result = -1;
    for (size_t i = 0; i < count && i < COMMAND_MAX_OPTIONS; i++)
        list[i + 1] = (struct option){options[i].name,
                                      options[i].value != NULL ? required_argument : no_argument,
                                      NULL, FIRST + (int)i};
    snprintf(title, sizeof title, "llm-gate %s", argv[0]);
    char *name = argv[0];
    argv[0] = title; /* getopt's messages begin with it */
    while (result < 0 && (id = getopt_long(argc, argv, "h", list, NULL)) != -1)
        result = take(id, usage, options, count);
    if (result < 0)
        result = take_operand(argc, argv, usage, operand);
    argv[0] = name;
    return result;
}
