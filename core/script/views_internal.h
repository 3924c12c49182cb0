/*
 * views_internal: the words that stand for accounts, as views*.c share them. Nobody else includes
 * it.
 */
#ifndef GATE_SCRIPT_VIEWS_INTERNAL_H
#define GATE_SCRIPT_VIEWS_INTERNAL_H

#include "script/views.h"

/* What a word stands for. Its place is 0 if it is not about one account. */
enum gate_view_what {
    GATE_VIEW_ACCOUNT = 0,
    GATE_VIEW_LIMITS,   /* of an account */
    GATE_VIEW_TAGS,     /* of an account */
    GATE_VIEW_LIST,     /* all accounts of a provider */
    GATE_VIEW_PROVIDER, /* the sums over them */
};

struct gate_view_word {
    size_t source, place;
    enum gate_view_what what;
};

/* Upvalues of the __index function of all words. */
enum {
    GATE_VIEW_UP_VIEWS = 1,
    GATE_VIEW_UP_ACCOUNT, /* fields */
    GATE_VIEW_UP_LIMITS,
    GATE_VIEW_UP_PROVIDER,
    GATE_VIEW_UP_HAS_TAG, /* the function */
};

/* All of these may raise. */
void gate_view_push_word(lua_State *L, const struct gate_views *views, struct gate_view_word word);
/* The place, from 0, that the index at 2 means; false: beyond the list. */
bool gate_view_list_index(lua_State *L, size_t count, const char *name, size_t *place);
/* In that __index function: push the field that is asked for. */
void gate_view_push_account_field(lua_State *L, struct gate_views *views,
                                  struct gate_view_word word);
void gate_view_push_provider_field(lua_State *L, struct gate_views *views,
                                   struct gate_view_word word);
/* Push what those find fields by. */
void gate_view_push_account_fields(lua_State *L);
void gate_view_push_provider_fields(lua_State *L);

/* Make the failure and the response with their attempts. */
void gate_views_open_failure(lua_State *L, struct gate_views *views);

#endif
