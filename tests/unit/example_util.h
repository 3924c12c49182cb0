/*
 * example_util: runs an example of policy: files of conf/ (and modules) in one text, with lines
 * "--> question => answer" that say what becomes of a request. Used by test_script_docs.c for
 * docs/scripting.md and by test_library_lua.c for the modules of scripts/gate.
 *
 * A text begins with "-- conf/routing.lua"; each further line of that form begins another file. The
 * first one of conf/ says what questions are about:
 *
 *     models.lua     --> NAME, or --> /v1/models: the names that are listed
 *     routing.lua    --> model=m key=k at=TIME ... with ACCOUNT; ACCOUNT
 *     accounts.lua   --> rule ID; --> select ACCOUNT; ACCOUNT for REQUEST; --> on_error ... for
 *                    REQUEST; --> on_response ... for REQUEST
 *     any            --> file: why it was refused; --> stack: of the last failure
 *
 * Questions are asked in order of one state, so what scripts note stays. Of an answer that depends
 * on chance all that may come are given: "a or b".
 */
#ifndef TESTS_EXAMPLE_UTIL_H
#define TESTS_EXAMPLE_UTIL_H

#include "example_words.h"

struct example {
    struct test_dir dir;
    char file[64];                      /* the first one of conf/ */
    struct gate_generation *generation; /* NULL: it was refused, and err says why */
    struct gate_script *script;
    struct gate_error err;
};

/* Answers a question that is not of the list above; false: nor can it. */
typedef bool example_answer(const struct example *e, const char *question, struct gate_buf *out);

/* ---- answers */

static void example_show_edits(const struct gate_edits *e, struct gate_buf *out)
{
    for (size_t i = 0; i < e->header_count; i++)
        gate_buf_printf(out, " header.%.*s=%.*s", (int)e->headers[i].name.len,
                        e->headers[i].name.ptr, (int)e->headers[i].value.len,
                        e->headers[i].value.ptr != NULL ? e->headers[i].value.ptr : "");
    for (size_t i = 0; i < e->field_count; i++) {
        const struct gate_field_edit *f = &e->fields[i];
        gate_buf_printf(out, " %s.%.*s", f->json.len > 0 ? "set" : "remove", (int)f->name.len,
                        f->name.ptr);
        if (f->json.len > 0)
            gate_buf_printf(out, "=%.*s", (int)f->json.len, f->json.ptr);
    }
    if (e->system.len > 0)
        gate_buf_printf(out, " system=\"%.*s\"", (int)e->system.len, e->system.ptr);
    if (e->max_tokens > 0)
        gate_buf_printf(out, " max_tokens=%llu", (unsigned long long)e->max_tokens);
}

static void example_show_target(const struct gate_target *t, struct gate_buf *out)
{
    gate_buf_append(out, t->name);
    if (t->first_token_ms > 0)
        gate_buf_printf(out, " first_token_ms=%u", t->first_token_ms);
    if (t->idle_ms > 0)
        gate_buf_printf(out, " idle_ms=%u", t->idle_ms);
    if (t->total_ms > 0)
        gate_buf_printf(out, " total_ms=%u", t->total_ms);
    if (t->retries >= 0)
        gate_buf_printf(out, " retries=%d", t->retries);
    if (t->strategy >= 0)
        gate_buf_printf(out, " strategy=%s", gate_strategy_names[t->strategy]);
    for (size_t i = 0; i < t->tag_count; i++)
        gate_buf_printf(out, "%s%.*s", i == 0 ? " tags=" : ",", (int)t->tags[i].len,
                        t->tags[i].ptr);
    if (t->edits != NULL)
        example_show_edits(t->edits, out);
}

static void example_show_decision(const struct gate_decision *d, struct gate_buf *out)
{
    if (d->reject.status != 0)
        gate_buf_printf(out, "reject %d %.*s \"%.*s\"", d->reject.status, (int)d->reject.code.len,
                        d->reject.code.ptr, (int)d->reject.message.len, d->reject.message.ptr);
    else if (d->target_count == 0)
        gate_buf_printf(out, "(own name)");
    if (d->reject.retry_after_ms > 0)
        gate_buf_printf(out, " retry_after_ms=%u", d->reject.retry_after_ms);
    for (size_t i = 0; i < d->target_count; i++) {
        gate_buf_printf(out, "%s", i > 0 ? ", " : "");
        example_show_target(&d->targets[i], out);
    }
    if (d->reason.len > 0)
        gate_buf_printf(out, " reason=\"%.*s\"", (int)d->reason.len, d->reason.ptr);
}

static void example_route(const struct example *e, char *text, struct gate_buf *out)
{
    struct example_request r;
    struct example_accounts accounts;
    struct gate_decision d;
    struct gate_error err;
    char *with = strstr(text, " with ");
    if (with != NULL)
        *with = '\0';
    example_parse_request(&r, text);
    example_parse_accounts(&accounts, with != NULL ? with + 6 : NULL, r.now_ms);
    r.view.accounts = &accounts.all;
    gate_script_set_time(e->script, r.now_ms);
    if (gate_script_route(e->script, &r.view, &d, &err) == GATE_OK)
        example_show_decision(&d, out);
    else
        gate_buf_printf(out, "error: %s", err.message);
    gate_decision_finish(&d);
}

static void example_map(const struct example *e, const char *name, struct gate_buf *out)
{
    char room[GATE_SCRIPT_MAX_TARGET];
    struct gate_str target;
    struct gate_error err = {0};
    size_t count;
    const struct gate_mapping *list = gate_generation_mappings(e->generation, &count);
    if (strcmp(name, "/v1/models") == 0) {
        for (size_t i = 0; i < count; i++)
            gate_buf_printf(out, "%s%.*s", i > 0 ? ", " : "", (int)list[i].name.len,
                            list[i].name.ptr);
    } else if (gate_script_map(e->script, gate_str_of(name), room, &target, &err) != GATE_OK) {
        gate_buf_printf(out, "error: %s", err.message);
    } else {
        gate_buf_append(out, target.len > 0 ? target : GATE_STR("(own name)"));
    }
}

/* ---- accounts.lua */

static void example_show_limits(const struct gate_limits_rule *rule, struct gate_buf *out)
{
    for (size_t kind = 0; kind < GATE_USAGE_KINDS; kind++) {
        for (unsigned field = 0; field < GATE_LIMITS_FIELDS; field++) {
            if (rule->kinds[kind].set & (1u << field))
                gate_buf_printf(
                    out, " %s.%s=%llu", gate_usage_kind_names[kind], gate_limits_names[field],
                    (unsigned long long)gate_limits_value(&rule->kinds[kind].values, field));
        }
    }
}

/* "rule any", or "rule id alias=name": what the file says of all accounts, or of one. */
static void example_rule(const struct example *e, char *text, struct gate_buf *out)
{
    const struct gate_account_policy *p = gate_generation_policy(e->generation);
    char *alias = strstr(text, " alias=");
    if (strcmp(text, "any") == 0) {
        gate_buf_printf(out, "strategy=%s", gate_strategy_names[p->strategy]);
        example_show_limits(&p->limits, out);
        return;
    }
    if (alias != NULL)
        *alias = '\0';
    const struct gate_account_rule *rule = gate_policy_rule(
        p, gate_str_of(text), alias != NULL ? gate_str_of(alias + 7) : GATE_STR(""));
    if (rule == NULL) {
        gate_buf_printf(out, "(none)");
        return;
    }
    if (rule->has_weight)
        gate_buf_printf(out, "weight=%u", rule->weight);
    for (size_t i = 0; i < rule->tag_count; i++)
        gate_buf_printf(out, "%s%.*s", i == 0 ? " tags=" : ",", (int)rule->tags[i].len,
                        rule->tags[i].ptr);
    example_show_limits(&rule->limits, out);
}

/* The request behind " for ", if there is one; cuts it off. */
static void example_parse_asker(const struct example *e, struct example_request *r, char *text)
{
    char *asker = strstr(text, " for ");
    example_parse_request(r, asker != NULL ? asker + 5 : "");
    if (asker != NULL)
        *asker = '\0';
    gate_script_set_time(e->script, r->now_ms);
}

static void example_select(const struct example *e, char *text, struct gate_buf *out)
{
    struct example_request r;
    struct example_accounts accounts;
    struct gate_selection selection;
    struct gate_error err;
    example_parse_asker(e, &r, text);
    example_parse_accounts(&accounts, text, r.now_ms);
    r.view.accounts = &accounts.all;
    if (gate_script_select(e->script, &accounts.offer, &r.view, &selection, &err) != GATE_OK)
        gate_buf_printf(out, "error: %s", err.message);
    else if (selection.count == 0)
        gate_buf_printf(out, selection.only ? "(nobody)" : "(strategy)");
    for (size_t i = 0; i < selection.count; i++) {
        struct gate_str id = accounts.facts[accounts.offered[selection.order[i]]].id;
        gate_buf_printf(out, "%s%.*s", i > 0 ? ", " : "", (int)id.len, id.ptr);
    }
}

static void example_on_error(const struct example *e, char *text, struct gate_buf *out)
{
    struct example_request r;
    struct example_accounts accounts;
    struct gate_verdict verdict = {.kind = GATE_VERDICT_OK};
    struct gate_error_view failure = {.verdict = &verdict, .number = 1};
    struct gate_error_decision d;
    struct gate_error err;
    example_parse_asker(e, &r, text);
    example_parse_accounts(&accounts, NULL, r.now_ms);
    r.view.accounts = &accounts.all;
    example_parse_failure(&verdict, &failure, text);
    if (gate_script_on_error(e->script, &failure, &r.view, &d, &err) != GATE_OK) {
        gate_buf_printf(out, "error: %s", err.message);
        return;
    }
    bool nothing = d.action == GATE_ACTION_DEFAULT && !d.has_cooldown;
    gate_buf_printf(out, "%s", nothing ? "(default)" : gate_action_names[d.action]);
    if (d.has_cooldown)
        gate_buf_printf(out, " cooldown_ms=%llu", (unsigned long long)d.cooldown_ms);
}

static void example_on_response(const struct example *e, char *text, struct gate_buf *out)
{
    struct example_request r;
    struct example_accounts accounts;
    struct gate_header headers[EXAMPLE_HEADERS];
    struct gate_response_view response = {
        .status = 200, .first_us = -1, .number = 1, .headers = headers};
    struct gate_response_decision d;
    struct gate_error err;
    example_parse_asker(e, &r, text);
    example_parse_accounts(&accounts, NULL, r.now_ms);
    r.view.accounts = &accounts.all;
    example_parse_response(&response, headers, text);
    if (gate_script_on_response(e->script, &response, &r.view, &d, &err) != GATE_OK)
        gate_buf_printf(out, "error: %s", err.message);
    else if (d.cooldown_ms > 0)
        gate_buf_printf(out, "cooldown_ms=%llu", (unsigned long long)d.cooldown_ms);
    else
        gate_buf_printf(out, "(nothing)");
}

/* ---- one example */

/* The lines of the stack, parted by "; ". */
static void example_stack(const struct example *e, struct gate_buf *out)
{
    for (const char *p = gate_script_stack(e->script); *p != '\0'; p++) {
        if (*p != '\n')
            gate_buf_append_byte(out, *p);
        else if (p[1] != '\0')
            gate_buf_printf(out, "; ");
    }
}

static bool example_accounts_question(const struct example *e, char *question, struct gate_buf *out)
{
    static const struct {
        const char *word;
        void (*answer)(const struct example *e, char *text, struct gate_buf *out);
    } words[] = {{"rule ", example_rule},
                 {"select ", example_select},
                 {"on_error ", example_on_error},
                 {"on_response ", example_on_response}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i].word);
        if (strncmp(question, words[i].word, len) != 0)
            continue;
        words[i].answer(e, question + len, out);
        return true;
    }
    return false;
}

static void example_ask(const struct example *e, char *question, example_answer *other,
                        struct gate_buf *out)
{
    if (strcmp(question, "file") == 0)
        gate_buf_printf(out, "error: %s", e->err.message);
    else if (other != NULL && other(e, question, out))
        ck_assert_msg(out->len > 0, "no answer to %s", question);
    else if (e->generation == NULL)
        gate_buf_printf(out, "error: %s", e->err.message);
    else if (strcmp(question, "stack") == 0)
        example_stack(e, out);
    else if (strcmp(e->file, "conf/models.lua") == 0)
        example_map(e, question, out);
    else if (strcmp(e->file, "conf/routing.lua") == 0)
        example_route(e, question, out);
    else
        ck_assert_msg(example_accounts_question(e, question, out), "nobody can answer %s",
                      question);
    gate_buf_append_byte(out, '\0');
}

/* Is it the answer, or one of "a or b"? */
static bool example_agrees(const char *expected, const char *came)
{
    size_t len = strlen(came);
    if (strcmp(expected, came) == 0)
        return true;
    for (const char *next; *expected != '\0'; expected = next) {
        const char *end = strstr(expected, " or ");
        next = end != NULL ? end + 4 : expected + strlen(expected);
        size_t part = end != NULL ? (size_t)(end - expected) : strlen(expected);
        if (part == len && strncmp(expected, came, len) == 0)
            return true;
    }
    return false;
}

static int example_check_lines(const struct example *e, char *text, example_answer *other)
{
    int checked = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        struct gate_buf came;
        char question[EXAMPLE_LINE];
        if (strncmp(line, "--> ", 4) != 0)
            continue;
        char *arrow = strstr(line + 4, " => ");
        ck_assert_msg(arrow != NULL, "%s", line);
        *arrow = '\0';
        ck_assert_uint_lt(strlen(line + 4), sizeof question);
        snprintf(question, sizeof question, "%s", line + 4);
        gate_buf_init(&came, 16384);
        example_ask(e, question, other, &came);
        ck_assert_msg(example_agrees(arrow + 4, came.ptr), "%s\nexpected %s\ncame     %s\nin %s",
                      line + 4, arrow + 4, came.ptr, e->file);
        gate_buf_finish(&came);
        checked++;
    }
    return checked;
}

/* The file that a line names; false: the line is not the beginning of one. */
static bool example_file_of(const char *line, size_t len, char *out, size_t cap)
{
    bool conf = len > 8 && strncmp(line, "-- conf/", 8) == 0;
    bool module = len > 11 && strncmp(line, "-- scripts/", 11) == 0;
    if ((!conf && !module) || strncmp(line + len - 4, ".lua", 4) != 0 || len - 3 >= cap)
        return false;
    snprintf(out, cap, "%.*s", (int)len - 3, line + 3);
    return true;
}

/* Writes the files of the text, each with its first line. True: there are modules among them. */
static bool example_write_files(struct example *e, const char *text)
{
    char file[64] = "", path[256];
    FILE *f = NULL;
    bool modules = false;
    snprintf(path, sizeof path, "%s/tests", e->dir.conf);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    for (const char *line = text; *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t len = end != NULL ? (size_t)(end - line) : strlen(line);
        if (example_file_of(line, len, file, sizeof file)) {
            bool module = strncmp(file, "scripts/", 8) == 0;
            modules |= module;
            if (f != NULL)
                fclose(f);
            if (!module && e->file[0] == '\0')
                snprintf(e->file, sizeof e->file, "%s", file);
            snprintf(path, sizeof path, "%s/%s", e->dir.root, file);
            f = fopen(path, "w");
        }
        ck_assert_msg(f != NULL, "an example must name its file:\n%s", text);
        fprintf(f, "%.*s\n", (int)len, line);
        line = end != NULL ? end + 1 : line + len;
    }
    ck_assert_msg(f != NULL, "an example is empty");
    fclose(f);
    return modules;
}

/* Names of zones are known where the system has zoneinfo. */
static bool example_can_run(const char *text)
{
    if (strstr(text, "\"Europe/") == NULL || access("/usr/share/zoneinfo/Europe/Berlin", R_OK) == 0)
        return true;
    printf("an example with a time zone skipped: this system has no zoneinfo\n");
    return false;
}

/* Runs the example and checks its lines. Returns how many there are; there must be one. */
static int example_run(const char *text, size_t len, example_answer *other)
{
    struct example e = {.generation = NULL};
    char *copy = gate_strdup((struct gate_str){text, len});
    if (!example_can_run(copy)) {
        free(copy);
        return 0;
    }
    test_dir_init(&e.dir);
    bool modules = example_write_files(&e, copy);
    const char *scripts = modules ? e.dir.scripts : GATE_SOURCE_DIR "/scripts";
    if (gate_generation_load(e.dir.conf, scripts, NULL, 0, 1, &e.generation, &e.err) == GATE_OK)
        ck_assert_int_eq(gate_script_create(e.generation, NULL, &e.script, &e.err), GATE_OK);
    else
        ck_assert_msg(strstr(copy, "\n--> file => ") != NULL, "%s\n%s", copy, e.err.message);
    int checked = example_check_lines(&e, copy, other);
    ck_assert_msg(checked > 0, "no --> line in\n%s", copy);
    gate_script_destroy(e.script);
    gate_generation_release(e.generation);
    test_dir_finish(&e.dir);
    free(copy);
    return checked;
}

#endif
