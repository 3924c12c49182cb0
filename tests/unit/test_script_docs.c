/* Runs every Lua example of docs/scripting.md and checks its "--> request => result" lines. */
#include "policy_util.h"

enum { LINE = 512, HEADERS = 4 };

/* An example: its file, and what came of loading it. */
struct example {
    const char *file;
    struct gate_generation *generation; /* NULL: it was refused, and err says why */
    struct gate_script *script;
    struct gate_error err;
};

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

static void answer_route(const struct example *e, const char *request, struct gate_buf *out)
{
    struct request r;
    struct gate_decision d;
    struct gate_error err;
    parse_request(&r, request);
    if (gate_script_route(e->script, &r.view, &d, &err) == GATE_OK)
        show_decision(&d, out);
    else
        gate_buf_printf(out, "error: %s", err.message);
}

/* ---------------------------------------------------------------- accounts.lua */

static void show_limits(const struct gate_limits_rule *rule, struct gate_buf *out)
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
static void answer_rule(const struct example *e, char *text, struct gate_buf *out)
{
    const struct gate_account_policy *p = gate_generation_policy(e->generation);
    char *alias = strstr(text, " alias=");
    if (strcmp(text, "any") == 0) {
        gate_buf_printf(out, "strategy=%s", gate_strategy_names[p->strategy]);
        show_limits(&p->limits, out);
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
    show_limits(&rule->limits, out);
}

/* The request behind " for ", if there is one; cuts it off. */
static void parse_asker(struct request *r, char *text)
{
    char *asker = strstr(text, " for ");
    parse_request(r, asker != NULL ? asker + 5 : "");
    if (asker != NULL)
        *asker = '\0';
}

/* Accounts of an example: those on offer, and those that are known but rest. */
struct example_offer {
    struct test_offer on;
    struct gate_account_facts resting[TEST_ACCOUNTS];
    size_t resting_count;
};

static bool is_resting(void *ctx, struct gate_str name)
{
    const struct example_offer *o = ctx; /* `on` is its first member */
    for (size_t i = 0; i < o->resting_count; i++)
        if (gate_str_eq(name, o->resting[i].id) || gate_str_eq(name, o->resting[i].alias))
            return true;
    return false;
}

/* "id in_flight=3 tags=paid"; *rests: "id rests=true". */
static void parse_account(struct gate_account_facts *f, char *text, bool *rests)
{
    static const struct gate_str paid = {"paid", 4};
    char *rest = NULL;
    *rests = false;
    *f = (struct gate_account_facts){.kind = GATE_CREDENTIAL_API_KEY, .weight = 1};
    f->id = f->alias = gate_str_of(strtok_r(text, " ", &rest));
    for (char *word; (word = strtok_r(NULL, " ", &rest)) != NULL;) {
        char *value = strchr(word, '=') + 1;
        value[-1] = '\0';
        uint64_t number = strtoul(value, NULL, 10);
        if (strcmp(word, "alias") == 0)
            f->alias = gate_str_of(value);
        else if (strcmp(word, "rests") == 0)
            *rests = strcmp(value, "true") == 0;
        else if (strcmp(word, "tags") == 0 && strcmp(value, "paid") == 0)
            f->tags = &paid, f->tag_count = 1;
        else if (strcmp(word, "in_flight") == 0)
            f->numbers.in_flight = (uint32_t)number;
        else if (strcmp(word, "requests_day") == 0)
            f->numbers.requests_day = number;
        else if (strcmp(word, "rpd") == 0)
            f->limits.requests_per_day = number;
        else
            ck_abort_msg("unknown word %s in an example", word);
    }
}

/* "select account; account for request" */
static void answer_select(const struct example *e, char *text, struct gate_buf *out)
{
    struct request r;
    struct example_offer *offer = gate_calloc(1, sizeof *offer);
    struct test_offer *o = &offer->on;
    struct gate_selection selection;
    struct gate_error err;
    char *rest = NULL;
    parse_asker(&r, text);
    test_offer_init(o, 0);
    o->view.known = is_resting;
    for (char *one = strtok_r(text, ";", &rest); one != NULL; one = strtok_r(NULL, ";", &rest)) {
        struct gate_account_facts facts;
        bool rests;
        parse_account(&facts, one, &rests);
        if (rests)
            offer->resting[offer->resting_count++] = facts;
        else
            o->facts[o->view.count++] = facts;
    }
    if (gate_script_select(e->script, &o->view, &r.view, &selection, &err) != GATE_OK)
        gate_buf_printf(out, "error: %s", err.message);
    else if (selection.count == 0)
        gate_buf_printf(out, selection.only ? "(nobody)" : "(strategy)");
    for (size_t i = 0; i < selection.count; i++) {
        struct gate_str id = o->facts[selection.order[i]].id;
        gate_buf_printf(out, "%s%.*s", i > 0 ? ", " : "", (int)id.len, id.ptr);
    }
    free(offer);
}

static void set_failure(struct gate_verdict *v, struct gate_error_view *f, const char *key,
                        const char *value)
{
    uint64_t number = strtoul(value, NULL, 10);
    if (strcmp(key, "kind") == 0) {
        while (strcmp(gate_verdict_name(v->kind), value) != 0)
            ck_assert_msg(++v->kind <= GATE_VERDICT_GARBAGE, "no kind %s", value);
    } else if (strcmp(key, "default") == 0) {
        while (strcmp(gate_action_names[f->fallback], value) != 0)
            ck_assert_msg(++f->fallback < GATE_ACTIONS, "no action %s", value);
    } else if (strcmp(key, "status") == 0) {
        f->status = (int)number;
    } else if (strcmp(key, "code") == 0) {
        snprintf(v->code, sizeof v->code, "%s", value);
    } else if (strcmp(key, "message") == 0) {
        snprintf(v->message, sizeof v->message, "%s", value);
    } else if (strcmp(key, "retry_after_ms") == 0) {
        v->retry_after_ms = number;
    } else if (strcmp(key, "number") == 0) {
        f->number = (uint32_t)number;
    } else if (strcmp(key, "elapsed_ms") == 0) {
        f->elapsed_ms = number;
    } else if (strcmp(key, "alias") == 0) {
        f->alias = gate_str_of(value);
    } else {
        ck_abort_msg("unknown word %s in an example", key);
    }
}

/* "on_error kind=... status=... for request" */
static void answer_on_error(const struct example *e, char *text, struct gate_buf *out)
{
    struct request r;
    struct gate_verdict verdict = {.kind = GATE_VERDICT_OK};
    struct gate_error_view failure = {.verdict = &verdict, .number = 1};
    struct gate_error_decision d;
    struct gate_error err;
    char *rest = NULL;
    parse_asker(&r, text);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=') + 1;
        value[-1] = '\0';
        set_failure(&verdict, &failure, word, value);
    }
    if (gate_script_on_error(e->script, &failure, &r.view, &d, &err) != GATE_OK) {
        gate_buf_printf(out, "error: %s", err.message);
        return;
    }
    bool nothing = d.action == GATE_ACTION_DEFAULT && !d.has_cooldown;
    gate_buf_printf(out, "%s", nothing ? "(default)" : gate_action_names[d.action]);
    if (d.has_cooldown)
        gate_buf_printf(out, " cooldown_ms=%llu", (unsigned long long)d.cooldown_ms);
}

static void answer_map(const struct example *e, const char *name, struct gate_buf *out)
{
    char room[GATE_SCRIPT_MAX_TARGET];
    struct gate_str target;
    struct gate_error err = {0};
    if (gate_script_map(e->script, gate_str_of(name), room, &target, &err) != GATE_OK)
        gate_buf_printf(out, "error: %s", err.message);
    else
        gate_buf_append(out, target.len > 0 ? target : GATE_STR("(own name)"));
}

/* ---------------------------------------------------------------- examples */

/* What becomes of the request, in the words of the page. */
static void answer(const struct example *e, char *request, struct gate_buf *out)
{
    static const struct {
        const char *word;
        void (*answer)(const struct example *e, char *text, struct gate_buf *out);
    } words[] = {
        {"rule ", answer_rule}, {"select ", answer_select}, {"on_error ", answer_on_error}};
    if (strcmp(request, "file") == 0 || e->generation == NULL) {
        gate_buf_printf(out, "error: %s", e->err.message);
    } else if (strcmp(e->file, "models.lua") == 0) {
        answer_map(e, request, out);
    } else if (strcmp(e->file, "routing.lua") == 0) {
        answer_route(e, request, out);
    } else {
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            size_t len = strlen(words[i].word);
            if (strncmp(request, words[i].word, len) == 0)
                words[i].answer(e, request + len, out);
        }
    }
    gate_buf_append_byte(out, '\0');
}

static int check_lines(const struct example *e, char *block)
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
        answer(e, line + 4, &got);
        ck_assert_msg(strcmp(got.ptr, arrow + 4) == 0, "%s\nthe page says %s\nit is        %s",
                      line + 4, arrow + 4, got.ptr);
        gate_buf_finish(&got);
        checked++;
    }
    return checked;
}

static void run_block(const char *text, size_t len)
{
    static const char *const files[] = {"models.lua", "routing.lua", "accounts.lua"};
    struct test_dir dir;
    struct example e = {0};
    char *block = gate_strdup((struct gate_str){text, len});
    char path[32];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "-- conf/%s\n", files[i]);
        if (strncmp(block, path, strlen(path)) == 0)
            e.file = files[i];
    }
    ck_assert_msg(e.file != NULL, "an example must name its file:\n%s", block);
    test_dir_init(&dir);
    snprintf(path, sizeof path, "conf/%s", e.file);
    test_dir_write(&dir, path, block);
    if (gate_generation_load(dir.conf, GATE_SOURCE_DIR "/scripts", NULL, 0, 1, &e.generation,
                             &e.err) == GATE_OK)
        ck_assert_int_eq(gate_script_create(e.generation, NULL, &e.script, &e.err), GATE_OK);
    else
        ck_assert_msg(strstr(block, "\n--> file => ") != NULL, "%s\n%s", block, e.err.message);
    ck_assert_msg(check_lines(&e, block) > 0, "no --> line in\n%s", block);
    gate_script_destroy(e.script);
    gate_generation_release(e.generation);
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
    ck_assert_int_ge(blocks, 18);
    free((char *)page.ptr);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("docs");
    tcase_add_test(tc, every_example_does_what_the_page_says);
    return test_main(tc, "script_docs");
}
