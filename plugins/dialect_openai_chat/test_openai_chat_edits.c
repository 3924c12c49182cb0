/* Tests of dialect_openai_chat: appending to the system text, and how the dialect's edits stand
 * beside those of a provider and of a target. */
#include "edits_util.h"
#include "fake_host.h"

extern const struct gate_plugin gate_plugin;

static const struct gate_dialect_ops *dialect(void)
{
    ck_assert_int_eq(gate_plugin.init(fake_host(), NULL), GATE_OK);
    return gate_plugin.ops;
}

/* ---------------------------------------------------------------- system text */

#define TEXT "say \"\xc3\xa4\"\n"
#define CODED "say \\\"\xc3\xa4\\\"\\n"
#define NEW "{\"role\":\"system\",\"content\":\"" CODED "\"}"
#define PART "{\"type\":\"text\",\"text\":\"" CODED "\"}"
#define BODY(messages) "{\"model\":\"m\",\"messages\":" messages "}"
#define USER "{\"role\":\"user\",\"content\":\"u\"}"

static const struct {
    const char *messages;
    const char *sent; /* NULL: a system message in front of the first */
} systems[] = {
    /* strings */
    {"[{\"role\":\"system\",\"content\":\"be\"}," USER "]",
     "[{\"role\":\"system\",\"content\":\"be\\n\\n" CODED "\"}," USER "]"},
    {"[{\"role\":\"developer\",\"content\":\"be\"}]",
     "[{\"role\":\"developer\",\"content\":\"be\\n\\n" CODED "\"}]"},
    {" [ { \"role\" : \"system\" , \"content\" : \"be\" } ] ",
     " [ { \"role\" : \"system\" , \"content\" : \"be\\n\\n" CODED "\" } ] "},
    {"[{\"content\":\"be\\\\\",\"role\":\"system\"}]",
     "[{\"content\":\"be\\\\\\n\\n" CODED "\",\"role\":\"system\"}]"},
    {"[{\"content\":\"be\\\"\",\"role\":\"system\"}]",
     "[{\"content\":\"be\\\"\\n\\n" CODED "\",\"role\":\"system\"}]"},
    {"[{\"role\":\"system\",\"content\":\"\xf0\x9f\x98\x80\\ud83d\\ude00\"}]",
     "[{\"role\":\"system\",\"content\":\"\xf0\x9f\x98\x80\\ud83d\\ude00\\n\\n" CODED "\"}]"},
    {"[{\"role\":\"system\",\"content\":\"\"}]",
     "[{\"role\":\"system\",\"content\":\"" CODED "\"}]"},
    /* as they decode */
    {"[{\"ro\\u006ce\":\"sys\\u0074em\",\"c\\u006fntent\":\"be\"}]",
     "[{\"ro\\u006ce\":\"sys\\u0074em\",\"c\\u006fntent\":\"be\\n\\n" CODED "\"}]"},
    /* lists */
    {"[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"]\"}]}]",
     "[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"]\"}," PART "]}]"},
    {"[{\"role\":\"system\",\"content\":[ {\"a\":[]} \n]}]",
     "[{\"role\":\"system\",\"content\":[ {\"a\":[]}," PART " \n]}]"},
    {"[{\"role\":\"system\",\"content\":[]}]", "[{\"role\":\"system\",\"content\":[" PART "]}]"},
    {"[{\"role\":\"system\",\"content\":[ \t\r\n ]}]",
     "[{\"role\":\"system\",\"content\":[" PART " \t\r\n ]}]"},
    {"[{\"role\":\"system\",\"content\":[[]]}]",
     "[{\"role\":\"system\",\"content\":[[]," PART "]}]"},
    /* no content yet */
    {"[{\"role\":\"system\",\"content\":null},7]",
     "[{\"role\":\"system\",\"content\":\"" CODED "\"},7]"},
    {"[{\"role\":\"system\"}]", "[{\"content\":\"" CODED "\",\"role\":\"system\"}]"},
    {"[{ \"role\":\"system\" }]", "[{\"content\":\"" CODED "\", \"role\":\"system\" }]"},
    /* empty */
    {"[]", "[" NEW "]"},
    {"[ \n]", "[" NEW " \n]"},
    /* others get a message in front */
    {"[" USER "]", NULL},
    {"[" USER ",{\"role\":\"system\",\"content\":\"late\"}]", NULL},
    {"[{\"role\":\"assistant\",\"content\":\"{\\\"role\\\":\\\"system\\\"}\"}]", NULL},
    {"[{\"role\":\"user\",\"content\":{\"role\":\"system\"}}]", NULL},
    {"[{\"role\":\"user\",\"content\":[{\"role\":\"system\",\"content\":\"x\"}]}]", NULL},
    {"[{\"content\":\"x\",\"meta\":{\"role\":\"system\"}}]", NULL},
    {"[{\"role\":\"System\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":\"systems\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":\"system\\u0000\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":\"\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":null,\"content\":\"x\"}]", NULL},
    {"[{}]", NULL},
    {"[\"system\"]", NULL},
    {"[null]", NULL},
    /* a system message whose content is nothing to append to */
    {"[{\"role\":\"system\",\"content\":7}]", NULL},
    {"[{\"role\":\"system\",\"content\":{\"text\":\"x\"}}]", NULL},
    {"[{\"role\":\"system\",\"content\":true}]", NULL},
    /* readers differ */
    {"[{\"role\":\"system\",\"role\":\"user\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":\"user\",\"role\":\"system\",\"content\":\"x\"}]", NULL},
    {"[{\"role\":\"system\",\"content\":\"x\",\"content\":\"y\"}]", NULL},
    {"[{\"role\":\"system\",\"content\":\"x\",\"conten\\u0074\":null}]", NULL},
    /* no JSON inside: the upstream's to judge */
    {"[{\"role\":\"system\" \"content\":,}]", NULL},
    {"[{\"role\":\"system\",content:\"x\"}]", NULL},
};

static void ck_system(const char *json, const char *expected)
{
    struct gate_str body = gate_str_of(json);
    struct fake_request request;
    struct gate_request_facts facts;
    struct gate_call call;
    struct gate_error err;
    struct gate_buf sent;

    fake_call_init(&call, &facts, body, "m", NULL);
    fake_request_init(&request);
    gate_buf_init(&sent, FAKE_MAX_BODY);
    ck_assert_int_eq(dialect()->append_system(body, &facts, GATE_STR(TEXT), &request.builder, &err),
                     GATE_OK);
    fake_request_apply(&request, body, &sent);
    gate_buf_append_byte(&sent, '\0');
    ck_assert_str_eq(sent.ptr, expected);
    gate_buf_finish(&sent);
    fake_request_finish(&request);
}

START_TEST(system_text_is_appended)
{
    const char *messages = systems[_i].messages, *expected = systems[_i].sent;
    char body[1024], sent[1024];

    snprintf(body, sizeof body, BODY("%s"), messages);
    if (expected != NULL)
        snprintf(sent, sizeof sent, BODY("%s"), expected);
    else
        snprintf(sent, sizeof sent, BODY("[" NEW ",%s"), messages + 1);
    ck_system(body, sent);
}
END_TEST

START_TEST(no_conversation)
{
    ck_system("{\"model\":\"m\"}", "{\"model\":\"m\"}");
}
END_TEST

/* Every byte becomes what JSON can hold. */
START_TEST(any_text)
{
    struct gate_str body = GATE_STR(BODY("[{\"role\":\"system\",\"content\":\"a\"}]"));
    struct gate_edits e = {.system = {NULL, 0}};
    enum { BYTES = 65536 };
    char *text = gate_alloc(BYTES), *sent = NULL;
    struct gate_error err;
    struct gate_request_facts facts;
    struct gate_json_error why;

    for (size_t i = 0; i < BYTES; i++)
        text[i] = (char)(i * 7 >> 3);
    e.system = (struct gate_str){text, BYTES};
    ck_assert_int_eq(send_edited(&e, dialect(), body, &sent, &err), GATE_OK);
    ck_assert_int_eq(gate_json_scan(gate_str_of(sent), GATE_STR("messages"), &facts, &why),
                     GATE_OK);
    ck_assert_uint_eq(facts.message_count, 1);
    free(sent);
    free(text);
}
END_TEST

/* ---------------------------------------------------------------- everything at once */

#define MARK ",\"cache_control\":{\"type\":\"ephemeral\"}"

/* What providers do to a body: another model, marks around the system text. */
static void edit_as_provider(struct gate_builder *b, const struct gate_request_facts *facts)
{
    struct gate_str first = {b->body.ptr + facts->first_message.off, facts->first_message.len};
    struct gate_str content;

    b->ops.replace(b->ops.ctx, facts->model.off, facts->model.len, GATE_STR("\"other\""));
    ck_assert(gate_json_member(first, GATE_STR("content"), &content));
    b->ops.replace(b->ops.ctx, (size_t)(content.ptr - b->body.ptr), 0,
                   GATE_STR("[{\"type\":\"text\",\"text\":"));
    b->ops.replace(b->ops.ctx, (size_t)(content.ptr + content.len - b->body.ptr), 0,
                   GATE_STR(MARK "}]"));
}

static void ck_together(const char *json, const char *expected, bool usage_last)
{
    struct gate_str body = gate_str_of(json);
    struct gate_request_facts facts;
    struct gate_builder builder;
    struct gate_built built;
    struct gate_error err;
    struct made m;
    char *sent;

    make_edits(&m, "user|temperature=0.5|top_p|#100");
    m.edits.system = GATE_STR("more");
    scan_body(body, &facts);
    gate_builder_init(&builder, body, &built);
    edit_as_provider(&builder, &facts);
    if (!usage_last)
        dialect()->ask_usage(body, &facts, &builder.ops);
    ck_assert_int_eq(gate_edits_apply(&m.edits, dialect(), body, &facts, &builder, &err), GATE_OK);
    if (usage_last)
        dialect()->ask_usage(body, &facts, &builder.ops);
    ck_assert_msg(gate_builder_end_body(&builder, "p", &err) == GATE_OK, "%s", err.message);
    sent = body_of(&built);
    ck_assert_str_eq(sent, expected);
    free(sent);
    gate_built_finish(&built);
}

#define SYSTEM "{\"role\":\"system\",\"content\":\"be\"}"
#define MARKED                                                                                     \
    "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"be\\n\\nmore\"" MARK "}]}"
#define ASKED "\"stream_options\":{\"include_usage\":true}"

START_TEST(beside_a_provider)
{
    static const char body[] =
        "{\"user\":\"u\",\"model\":\"m\",\"messages\":[" SYSTEM "],\"top_p\":1,\"stream\":true}";

    ck_together(body,
                "{" ASKED ",\"max_tokens\":100,\"temperature\":0.5,\"model\":\"other\","
                "\"messages\":[" MARKED "],\"stream\":true}",
                false);
    ck_together(body,
                "{\"max_tokens\":100,\"temperature\":0.5," ASKED ",\"model\":\"other\","
                "\"messages\":[" MARKED "],\"stream\":true}",
                true);
    for (int last = 0; last < 2; last++)
        ck_together("{\"model\":\"m\",\"top_p\":1,\"stream_options\":null,\"user\":2,"
                    "\"temperature\":1,\"max_completion_tokens\":500,\"messages\":[" SYSTEM "]}",
                    "{\"model\":\"other\"," ASKED ",\"temperature\":0.5,"
                    "\"max_completion_tokens\":100,\"messages\":[" MARKED "]}",
                    last);
}
END_TEST

/* ---------------------------------------------------------------- a target's budget */

/* A client that repeats what is edited cannot use up the room of the others' edits. */
START_TEST(repeated_fields)
{
    struct gate_error err;
    struct gate_buf body;
    struct made m;
    char *sent = NULL;

    make_edits(&m, "a|b|c|d|e=1|f=2|g=3|h=4|i|j|k|l|m=1|n=2|o=3|p=4|#100");
    m.edits.system = GATE_STR("more");
    for (int extra = 8; extra < 10; extra++) {
        gate_buf_init(&body, 1 << 16);
        gate_buf_append(&body, GATE_STR("{\"messages\":[" SYSTEM "],\"stream\":true"));
        for (char c = 'a'; c <= 'p'; c++)
            gate_buf_printf(&body, ",\"%c\":0", c);
        for (int i = 0; i <= extra; i++)
            gate_buf_append(&body, GATE_STR(",\"max_tokens\":500"));
        gate_buf_append(&body, GATE_STR(",\"max_completion_tokens\":500,\"model\":\"m\"}"));
        ck_assert_int_eq(send_edited(&m.edits, dialect(), gate_buf_str(&body), &sent, &err),
                         extra == 8 ? GATE_OK : GATE_EINVAL);
        gate_buf_finish(&body);
    }
    ck_assert_ptr_nonnull(strstr(err.message, "repeats the field \"max_tokens\""));
    ck_assert_ptr_nonnull(strstr(sent, "{\"messages\":[{\"role\":\"system\",\"content\":\"be\\n\\n"
                                       "more\"}],\"stream\":true,\"e\":1,\"f\":2,"));
    ck_assert_ptr_null(strstr(sent, "500"));
    free(sent);
}
END_TEST

#define LOOP(test, table)                                                                          \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("dialect_openai_chat_edits");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int failed;

    LOOP(system_text_is_appended, systems);
    tcase_add_test(tcase, no_conversation);
    tcase_add_test(tcase, any_text);
    tcase_add_test(tcase, beside_a_provider);
    tcase_add_test(tcase, repeated_fields);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
