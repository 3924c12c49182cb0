/* The console's files in the binary: what the build embedded, whatever that is. */
#include "admin/assets.h"
#include <check.h>
#include <openssl/sha.h>
#include <stdio.h>

START_TEST(each_is_found_and_whole)
{
    for (size_t i = 0; i < gate_asset_count; i++) {
        const struct gate_asset *a = &gate_assets[i];
        unsigned char digest[SHA256_DIGEST_LENGTH];
        char hex[2 * SHA256_DIGEST_LENGTH + 1];
        ck_assert_ptr_eq(gate_asset_find(a->path), a);
        ck_assert_uint_gt(a->type.len, 0);
        SHA256((const unsigned char *)a->raw.ptr, a->raw.len, digest);
        for (size_t at = 0; at < sizeof digest; at++)
            snprintf(hex + 2 * at, 3, "%02x", digest[at]);
        ck_assert_msg(gate_str_eq(a->hash, gate_str_of(hex)), "%.*s", (int)a->path.len,
                      a->path.ptr);
        ck_assert(a->br.len < a->raw.len || a->raw.len < 256); /* tiny files may grow */
        ck_assert(!a->immutable || gate_str_starts(a->path, GATE_STR("assets/")));
    }
    printf("%zu embedded files\n", gate_asset_count);
}
END_TEST

START_TEST(nothing_else_is_found)
{
    static const char *const paths[] = {
        "",       "/",       "index",         "index.html/",   "/index.html",
        "assets", "assets/", "../index.html", "index.html.br", "manifest.json"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        ck_assert_msg(gate_asset_find(gate_str_of(paths[i])) == NULL, "%s", paths[i]);
    const struct gate_asset *page = gate_asset_find(GATE_STR("index.html"));
    ck_assert((page != NULL) == (gate_asset_count > 0));
    ck_assert(page == NULL || !page->immutable);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("assets");
    TCase *tests = tcase_create("assets");
    tcase_add_test(tests, each_is_found_and_whole);
    tcase_add_test(tests, nothing_else_is_found);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
