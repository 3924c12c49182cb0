/* test_qwen: what the files of provider_qwen's test share. */
#ifndef TEST_QWEN_H
#define TEST_QWEN_H

#include "plugin/registry.h"

#include <check.h>

#define OAUTH_JSON                                                                                 \
    "{\"access_token\":\"tok-secret-1\",\"refresh_token\":\"ref-secret-1\",\"expiry_date\":1}"

extern const struct gate_plugin gate_plugin;

TCase *test_serves_case(void);  /* test_serves.c */
TCase *test_marks_case(void);   /* test_marks.c */
TCase *test_verdict_case(void); /* test_verdict.c */
TCase *test_login_case(void);   /* test_login.c */
TCase *test_refresh_case(void); /* test_refresh.c */
TCase *test_search_case(void);  /* test_search.c */

/* One instance with one account, for a test. */
struct qwen_setup {
    const struct gate_provider_ops *ops;
    struct gate_value *values;
    void *instance;
    void *account;
    struct gate_error err;
};

/* secret NULL: no account is attached. pairs: see fake_instance_create. */
void qwen_setup_init(struct qwen_setup *s, const char *const *pairs, enum gate_credential_kind kind,
                     const char *secret);
void qwen_setup_finish(struct qwen_setup *s);

#endif
