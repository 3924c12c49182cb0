/* test_openai: what the two files of provider_openai's test share. */
#ifndef TEST_OPENAI_H
#define TEST_OPENAI_H

#include "plugin/registry.h"

#include <check.h>

extern const struct gate_plugin gate_plugin;

TCase *test_failure_case(void); /* test_failure.c */
TCase *test_models_case(void);  /* test_models.c */

#endif
