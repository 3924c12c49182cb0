/* What the names of the sandbox offer (library.c, api.c, views.c), and what was probably meant by
 * one that does not exist. */
#include "script/lint_internal.h"

enum { MAX_WORD = 32 }; /* bytes of a word that is compared; longer ones resemble nothing */

typedef const char *const names[];

static const names GLOBALS = {"assert",   "error",    "getmetatable", "ipairs", "next",
                              "pairs",    "pcall",    "rawequal",     "rawget", "rawlen",
                              "select",   "require",  "setmetatable", "string", "table",
                              "tonumber", "tostring", "type",         "xpcall", "math",
                              "utf8",     "_G",       "_VERSION",     NULL};
static const names GATE = {"log",     "hash", "now",      "time",     "random",
                           "counter", "kv",   "accounts", "provider", NULL};
static const names KV = {"get", "set", "add", NULL};
static const names STRING = {"byte",  "char",  "find", "format",  "gmatch", "gsub",  "len",
                             "lower", "match", "rep",  "reverse", "sub",    "upper", NULL};
static const names TABLE = {"concat", "insert", "move", "pack", "remove", "sort", "unpack", NULL};
static const names MATH = {"abs",        "acos",       "asin",      "atan", "ceil", "cos", "deg",
                           "exp",        "floor",      "fmod",      "huge", "log",  "max", "min",
                           "maxinteger", "mininteger", "modf",      "pi",   "rad",  "sin", "random",
                           "sqrt",       "tan",        "tointeger", "type", "ult",  NULL};
static const names UTF8 = {"char", "charpattern", "codepoint", "codes", "len", "offset", NULL};
static const names REQUEST = {
    "model",         "stream",     "messages", "tools", "has_tools", "has_images", "body_bytes",
    "prompt_tokens", "max_tokens", "key",      "path",  "headers",   NULL};
static const names ACCOUNT = {"id",
                              "alias",
                              "provider",
                              "kind",
                              "tags",
                              "has_tag",
                              "weight",
                              "in_flight",
                              "latency_ms",
                              "requests_minute",
                              "requests_day",
                              "tokens_minute",
                              "tokens_day",
                              "resets_in_ms",
                              "limits",
                              "cooling",
                              "state",
                              "until_ms",
                              NULL};
static const names LIMITS = {"rpm", "rpd", "tpm", "tpd", "concurrency", NULL};
static const names PROVIDER = {"accounts",
                               "serving",
                               "in_flight",
                               "requests_minute",
                               "requests_day",
                               "tokens_day",
                               "requests_left_today",
                               "latency_ms",
                               NULL};
static const names FAILURE = {"kind", "status", "code", "message", "retry_after_ms", NULL};
static const names ATTEMPT = {"number",     "account", "alias",       "provider", "model",
                              "elapsed_ms", "default", "cooldown_ms", NULL};
static const names SUCCESS = {"number", "account",    "alias", "provider",
                              "model",  "elapsed_ms", NULL};
static const names RESPONSE = {"status",    "stream",        "first_token_ms",
                               "total_ms",  "prompt_tokens", "completion_tokens",
                               "estimated", "headers",       NULL};
static const names FAILURE_KINDS = {
    "auth",    "rate_limited", "quota_exhausted", "overloaded", "blocked", "client_error",
    "network", "truncated",    "timeout",         "garbage",    NULL};
static const names ACCOUNT_KINDS = {"api_key", "oauth", "none", NULL};
static const names ACCOUNT_STATES = {"serving",       "cooling",       "limited",  "exhausted",
                                     "needs_sign_in", "no_credential", "disabled", NULL};
static const names ACTIONS = {"default", "retry", "next_account", "next_target", "fail", NULL};

/* Of a role with fields: how it is called and what it has. Of a text: what it can be. */
static const struct {
    const char *owner;
    const char *const *list;
} ROLES[GATE_ROLES] = {
    [GATE_ROLE_GATE] = {"gate", GATE},
    [GATE_ROLE_KV] = {"gate.kv", KV},
    [GATE_ROLE_STRING] = {"string", STRING},
    [GATE_ROLE_TABLE] = {"table", TABLE},
    [GATE_ROLE_MATH] = {"math", MATH},
    [GATE_ROLE_UTF8] = {"utf8", UTF8},
    [GATE_ROLE_REQUEST] = {"a request", REQUEST},
    [GATE_ROLE_ACCOUNT] = {"an account", ACCOUNT},
    [GATE_ROLE_LIMITS] = {"a table of limits", LIMITS},
    [GATE_ROLE_PROVIDER] = {"a provider", PROVIDER},
    [GATE_ROLE_FAILURE] = {"a failure", FAILURE},
    [GATE_ROLE_ATTEMPT] = {"an attempt", ATTEMPT},
    [GATE_ROLE_SUCCESS] = {"the attempt of on_response", SUCCESS},
    [GATE_ROLE_RESPONSE] = {"a response", RESPONSE},
    [GATE_ROLE_ACCOUNTS] = {"the list of accounts", NULL},
    [GATE_ROLE_FAILURE_KIND] = {"failure.kind", FAILURE_KINDS},
    [GATE_ROLE_ACCOUNT_KIND] = {"the kind of an account", ACCOUNT_KINDS},
    [GATE_ROLE_ACCOUNT_STATE] = {"the state of an account", ACCOUNT_STATES},
    [GATE_ROLE_ACTION] = {"attempt.default", ACTIONS},
};

/* Fields, and globals, whose value is known in turn. */
static const struct {
    uint8_t owner, role;
    const char *name;
} KNOWN[] = {
    {GATE_ROLE_NONE, GATE_ROLE_GATE, "gate"},
    {GATE_ROLE_NONE, GATE_ROLE_STRING, "string"},
    {GATE_ROLE_NONE, GATE_ROLE_TABLE, "table"},
    {GATE_ROLE_NONE, GATE_ROLE_MATH, "math"},
    {GATE_ROLE_NONE, GATE_ROLE_UTF8, "utf8"},
    {GATE_ROLE_NONE, GATE_ROLE_IPAIRS, "ipairs"},
    {GATE_ROLE_GATE, GATE_ROLE_KV, "kv"},
    {GATE_ROLE_GATE, GATE_ROLE_GET_ACCOUNTS, "accounts"},
    {GATE_ROLE_GATE, GATE_ROLE_GET_PROVIDER, "provider"},
    {GATE_ROLE_ACCOUNT, GATE_ROLE_LIMITS, "limits"},
    {GATE_ROLE_ACCOUNT, GATE_ROLE_ACCOUNT_KIND, "kind"},
    {GATE_ROLE_ACCOUNT, GATE_ROLE_ACCOUNT_STATE, "state"},
    {GATE_ROLE_FAILURE, GATE_ROLE_FAILURE_KIND, "kind"},
    {GATE_ROLE_ATTEMPT, GATE_ROLE_ACTION, "default"},
};

/* What people know from elsewhere. A name with a dot is looked for first. */
static const struct {
    const char *name, *hint;
} HINTS[] = {
    {"print", "gate.log(\"info\", text) writes to the gateway's log"},
    {"io.write", "gate.log(\"info\", text) writes to the gateway's log"},
    {"io.stderr", "gate.log(\"error\", text) writes to the gateway's log"},
    {"io", "scripts have no files"},
    {"os.time", "gate.now() tells the time"},
    {"os.clock", "gate.now() tells the time"},
    {"os.date", "gate.time() tells the time of day"},
    {"os.getenv", "scripts have no environment variables"},
    {"os", "scripts have no operating system; gate.now() and gate.time() tell the time"},
    {"load", "scripts cannot compile text; require loads modules"},
    {"loadstring", "scripts cannot compile text; require loads modules"},
    {"loadfile", "scripts have no files; require loads modules"},
    {"dofile", "scripts have no files; require loads modules"},
    {"package", "require loads modules of the script directory"},
    {"module", "a module is a file that returns a table"},
    {"coroutine", "scripts have no coroutines"},
    {"debug", "scripts have no debug library"},
    {"rawset", "write t[key] = value"},
    {"collectgarbage", "the gateway looks after the memory of scripts"},
    {"unpack", "in Lua 5.4 it is table.unpack"},
    {"setfenv", "Lua 5.4 does not have it"},
    {"getfenv", "Lua 5.4 does not have it"},
    {"null", "write nil"},
    {"None", "write nil"},
    {"undefined", "write nil"},
    {"True", "write true"},
    {"False", "write false"},
    {"ngx", "it belongs to another gateway; see gate"},
    {"string.dump", "scripts have no compiled code"},
    {"string.pack", "scripts have no binary formats"},
    {"string.unpack", "scripts have no binary formats"},
    {"string.packsize", "scripts have no binary formats"},
    {"string.split", "write a loop over string.gmatch"},
    {"string.trim", "write text:match(\"^%s*(.-)%s*$\")"},
    {"string.gfind", "in Lua 5.4 it is string.gmatch"},
    {"math.randomseed", "each state has a random seed of its own"},
    {"math.pow", "write x ^ y"},
    {"math.round", "write math.floor(x + 0.5)"},
    {"table.getn", "write #t"},
    {"table.foreach", "write for key, value in pairs(t) do"},
    {"table.maxn", "write #t"},
    {"gate.print", "gate.log(\"info\", text) writes to the gateway's log"},
    {"gate.warn", "write gate.log(\"warn\", text)"},
    {"gate.info", "write gate.log(\"info\", text)"},
    {"gate.error", "write gate.log(\"error\", text)"},
};

/* ---------------------------------------------------------------- distance */

unsigned gate_lint_allowed(size_t len)
{
    return len < 3 ? 0 : len < 6 ? 1 : 2;
}

unsigned gate_lint_distance(struct gate_str a, struct gate_str b)
{
    uint8_t rows[3][MAX_WORD + 1];
    if (a.len > MAX_WORD || b.len > MAX_WORD || a.len > b.len + 2 || b.len > a.len + 2)
        return GATE_LINT_FAR;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a.len; i++) {
        uint8_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned best = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (above[j] + 1u < best)
                best = above[j] + 1u;
            if (row[j - 1] + 1u < best)
                best = row[j - 1] + 1u;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] &&
                before[j - 2] + 1u < best)
                best = before[j - 2] + 1u;
            row[j] = (uint8_t)best;
        }
    }
    return rows[a.len % 3][b.len];
}

/* The nearest of the list that is nearer than *least. */
static const char *nearer(struct gate_str word, const char *const *list, unsigned *least)
{
    const char *best = NULL;
    for (; *list != NULL; list++) {
        unsigned d = gate_lint_distance(word, gate_str_of(*list));
        if (d < *least) {
            *least = d;
            best = *list;
        }
    }
    return best;
}

static const char *nearest(struct gate_str word, const char *const *list)
{
    unsigned least = gate_lint_allowed(word.len) + 1;
    return nearer(word, list, &least);
}

/* ---------------------------------------------------------------- looking up */

static bool has(const char *const *list, struct gate_str name)
{
    while (*list != NULL && !gate_str_eq(gate_str_of(*list), name))
        list++;
    return *list != NULL;
}

static unsigned known_role(unsigned owner, struct gate_str name)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        if (KNOWN[i].owner == owner && gate_str_eq(gate_str_of(KNOWN[i].name), name))
            return KNOWN[i].role;
    }
    return GATE_ROLE_NONE;
}

/* The hint for "owner.name", or for the name alone when owner is empty. */
static const char *find_hint(const struct gate_lint *p, struct gate_str owner, struct gate_str name)
{
    char full[2 * MAX_WORD + 2];
    if (owner.len > MAX_WORD || name.len > MAX_WORD)
        return NULL;
    snprintf(full, sizeof full, "%.*s%s%.*s", (int)owner.len, owner.ptr, owner.len > 0 ? "." : "",
             (int)name.len, name.ptr);
    for (size_t i = 0; i < sizeof HINTS / sizeof HINTS[0]; i++) {
        if (strcmp(HINTS[i].name, full) == 0)
            return p->file == GATE_LINT_GATEWAY && strstr(HINTS[i].hint, "gate") != NULL
                       ? "gateway.lua only returns settings"
                       : HINTS[i].hint;
    }
    return NULL;
}

/* The hint for a name that is probably a misspelt one of those with a hint. */
static const char *nearest_hint(const struct gate_lint *p, struct gate_str name, unsigned *least)
{
    const char *best = NULL;
    for (size_t i = 0; i < sizeof HINTS / sizeof HINTS[0]; i++) {
        struct gate_str known = gate_str_of(HINTS[i].name);
        unsigned d = gate_lint_distance(name, known);
        if (d < *least && memchr(known.ptr, '.', known.len) == NULL) {
            *least = d;
            best = HINTS[i].name;
        }
    }
    return best == NULL ? NULL : find_hint(p, GATE_STR(""), gate_str_of(best));
}

/* The local variable in scope whose name is nearer than *least. */
static bool nearest_local(const struct gate_lint *p, struct gate_str word, unsigned *least,
                          struct gate_str *out)
{
    bool found = false;
    for (uint32_t i = p->variable_count; i > 0; i--) {
        const struct gate_lint_variable *v = &p->variables[i - 1];
        if (v->symbol == GATE_LINT_NONE || p->symbols[v->symbol].variable != i - 1)
            continue;
        const struct gate_lint_symbol *s = &p->symbols[v->symbol];
        struct gate_str name = {p->text.ptr + s->at, s->len};
        unsigned d = gate_lint_distance(word, name);
        if (d < *least) {
            *least = d;
            *out = name;
            found = true;
        }
    }
    return found;
}

/* ---------------------------------------------------------------- globals */

static bool is_global(const struct gate_lint *p, struct gate_str name)
{
    if (p->file == GATE_LINT_GATEWAY)
        return has(GLOBALS, name) && !gate_str_eq(name, GATE_STR("require"));
    return has(GLOBALS, name) || gate_str_eq(name, GATE_STR("gate"));
}

/* Too many warnings: the rest is counted, not worded. */
static bool is_enough(struct gate_lint *p)
{
    if (p->warnings.kept < GATE_PROBLEMS_MAX)
        return false;
    p->warnings.count++;
    return true;
}

/* The hint for a global, and for its field where one is read. */
static const char *hint_for(const struct gate_lint *p, struct gate_str name)
{
    const char *hint = NULL;
    if (gate_lint_type(p) == GATE_TK('.') && gate_lint_peek(p, 1) == GATE_TK_NAME)
        hint = find_hint(p, name, gate_lint_text(p, p->at + 1));
    return hint != NULL ? hint : find_hint(p, GATE_STR(""), name);
}

static void warn_undefined(struct gate_lint *p, uint32_t token)
{
    static const names gate = {"gate", NULL};
    struct gate_str name = gate_lint_text(p, token), like = {NULL, 0};
    const char *hint = hint_for(p, name), *global;
    char shown[GATE_LINT_SHOWN];
    unsigned least = gate_lint_allowed(name.len) + 1;
    if (hint == NULL) {
        nearest_local(p, name, &least, &like);
        global = nearer(name, GLOBALS, &least);
        if (global == NULL && p->file != GATE_LINT_GATEWAY)
            global = nearer(name, gate, &least);
        if (global != NULL)
            like = gate_str_of(global);
        hint = nearest_hint(p, name, &least);
    }
    gate_lint_show(p, token, shown);
    if (hint != NULL)
        gate_lint_warn(p, token, "undefined_global", "%s is not available: %s", shown, hint);
    else if (like.len > 0)
        gate_lint_warn(p, token, "undefined_global", "%s is not defined; did you mean '%.*s'?",
                       shown, (int)like.len, like.ptr);
    else
        gate_lint_warn(p, token, "undefined_global", "%s is not defined", shown);
}

unsigned gate_lint_global(struct gate_lint *p, uint32_t token)
{
    struct gate_str name = gate_lint_text(p, token);
    if (p->own_env)
        return GATE_ROLE_NONE;
    if (is_global(p, name))
        return known_role(GATE_ROLE_NONE, name);
    if (p->file == GATE_LINT_GATEWAY &&
        (gate_str_eq(name, GATE_STR("gate")) || gate_str_eq(name, GATE_STR("require")))) {
        gate_lint_warn(p, token, "undefined_global", "gateway.lua cannot use '%.*s'", (int)name.len,
                       name.ptr);
        return GATE_ROLE_NONE;
    }
    if (!is_enough(p))
        warn_undefined(p, token);
    return GATE_ROLE_NONE;
}

void gate_lint_global_write(struct gate_lint *p, uint32_t token, bool function)
{
    struct gate_str name = gate_lint_text(p, token), like;
    unsigned least = gate_lint_allowed(name.len) + 1;
    char shown[GATE_LINT_SHOWN];
    if (p->own_env || is_enough(p))
        return;
    gate_lint_show(p, token, shown);
    if (nearest_local(p, name, &least, &like))
        gate_lint_warn(p, token, "global_write",
                       "the global %s cannot be set; did you mean the local '%.*s'?", shown,
                       (int)like.len, like.ptr);
    else
        gate_lint_warn(p, token, "global_write",
                       "the global %s cannot be set: declare it with '%s'", shown,
                       function ? "local function" : "local");
}

/* ---------------------------------------------------------------- fields */

/* The text of a name, or of a string without escapes; else empty. */
static struct gate_str plain_text(const struct gate_lint *p, uint32_t token)
{
    struct gate_str text = gate_lint_text(p, token);
    if (p->tokens[token].type != GATE_TK_STRING)
        return text;
    if (text.len < 2 || text.ptr[0] == '[' || memchr(text.ptr, '\\', text.len) != NULL)
        return (struct gate_str){"", 0};
    return (struct gate_str){text.ptr + 1, text.len - 2};
}

/* "a, b or c" */
static void join(const char *const *list, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; list[i] != NULL && n < cap; i++)
        n += (size_t)snprintf(out + n, cap - n, "%s%s",
                              i == 0                ? ""
                              : list[i + 1] != NULL ? ", "
                                                    : " or ",
                              list[i]);
}

unsigned gate_lint_field(struct gate_lint *p, unsigned role, uint32_t token)
{
    struct gate_str name = plain_text(p, token);
    if (role >= GATE_ROLE_OBJECTS || role == GATE_ROLE_NONE || name.len == 0)
        return GATE_ROLE_NONE;
    if (has(ROLES[role].list, name))
        return known_role(role, name);
    if (is_enough(p))
        return GATE_ROLE_NONE;
    const char *like = nearest(name, ROLES[role].list), *owner = ROLES[role].owner;
    const char *hint = find_hint(p, gate_str_of(owner), name);
    int len = (int)(name.len < MAX_WORD ? name.len : MAX_WORD);
    char all[GATE_PROBLEM_TEXT / 2];
    join(ROLES[role].list, all, sizeof all);
    if (hint != NULL)
        gate_lint_warn(p, token, "unknown_field", "%s has no '%.*s': %s", owner, len, name.ptr,
                       hint);
    else if (like != NULL)
        gate_lint_warn(p, token, "unknown_field", "%s has no field '%.*s'; did you mean '%s'?",
                       owner, len, name.ptr, like);
    else
        gate_lint_warn(p, token, "unknown_field", "%s has no field '%.*s', only %s", owner, len,
                       name.ptr, all);
    return GATE_ROLE_NONE;
}

void gate_lint_field_write(struct gate_lint *p, unsigned role, uint32_t token)
{
    if (role == GATE_ROLE_NONE || ROLES[role].owner == NULL || role > GATE_ROLE_ACCOUNTS ||
        is_enough(p))
        return;
    gate_lint_warn(p, token, "read_only", "%s is read-only", ROLES[role].owner);
}

void gate_lint_compare(struct gate_lint *p, unsigned role, uint32_t string)
{
    struct gate_str text = plain_text(p, string);
    char all[GATE_PROBLEM_TEXT / 2];
    if (role <= GATE_ROLE_ACCOUNTS || ROLES[role].list == NULL || text.len == 0 ||
        has(ROLES[role].list, text) || is_enough(p))
        return;
    const char *like = nearest(text, ROLES[role].list);
    int len = (int)(text.len < MAX_WORD ? text.len : MAX_WORD);
    join(ROLES[role].list, all, sizeof all);
    if (like != NULL)
        gate_lint_warn(p, string, "unknown_value", "%s is never \"%.*s\"; did you mean \"%s\"?",
                       ROLES[role].owner, len, text.ptr, like);
    else
        gate_lint_warn(p, string, "unknown_value", "%s is never \"%.*s\", only %s",
                       ROLES[role].owner, len, text.ptr, all);
}

/* ---------------------------------------------------------------- functions of the gateway */

unsigned gate_lint_parameter(const struct gate_lint *p, uint32_t naming, uint32_t index)
{
    static const struct {
        enum gate_lint_file file;
        const char *name;
        uint8_t roles[3];
    } functions[] = {
        {GATE_LINT_ROUTING, "route", {GATE_ROLE_REQUEST}},
        {GATE_LINT_ACCOUNTS, "select", {GATE_ROLE_ACCOUNTS, GATE_ROLE_REQUEST}},
        {GATE_LINT_ACCOUNTS, "on_error", {GATE_ROLE_FAILURE, GATE_ROLE_ATTEMPT, GATE_ROLE_REQUEST}},
        {GATE_LINT_ACCOUNTS,
         "on_response",
         {GATE_ROLE_RESPONSE, GATE_ROLE_SUCCESS, GATE_ROLE_REQUEST}},
    };
    if (naming == GATE_LINT_NONE || index >= 3)
        return GATE_ROLE_NONE;
    /* `return function(req)` in routing.lua is route. */
    struct gate_str name =
        p->tokens[naming].type == GATE_TK_FUNCTION ? GATE_STR("route") : plain_text(p, naming);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (functions[i].file == p->file && gate_str_eq(gate_str_of(functions[i].name), name))
            return functions[i].roles[index];
    }
    return GATE_ROLE_NONE;
}

unsigned gate_lint_result(unsigned role, unsigned argument)
{
    if (role == GATE_ROLE_IPAIRS && argument == GATE_ROLE_ACCOUNTS)
        return GATE_ROLE_WALK;
    if (role == GATE_ROLE_GET_ACCOUNTS)
        return GATE_ROLE_ACCOUNTS;
    if (role == GATE_ROLE_GET_PROVIDER)
        return GATE_ROLE_PROVIDER;
    return GATE_ROLE_NONE;
}
