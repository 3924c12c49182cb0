/*
 * session_fixture: the console's sessions on a storage in memory, with a vault, and processes that
 * follow each other on it. Used by test_session*.c.
 */
#ifndef GATE_TEST_SESSION_FIXTURE_H
#define GATE_TEST_SESSION_FIXTURE_H

#include "admin/session.h"
#include "store_fixture.h"
#include "vault_fixture.h"

enum { NOW = 1000000000, HOUR = 3600 * 1000 };

struct rig {
    struct fixture f;
    struct data data;
    struct gate_vault *vault;
    struct gate_sessions *sessions;
};

static inline void open_sessions(struct rig *r, const char *key, uint64_t now_ms)
{
    const struct gate_sessions_parts parts = {
        .store = r->f.store, .vault = r->vault, .key = gate_str_of(key)};
    r->sessions = gate_sessions_create(&parts, now_ms);
}

static inline void rig_start(struct rig *r)
{
    start(&r->f, 0);
    data_init(&r->data);
    r->vault = vault_of(&r->data, "a secret of the environment");
    open_sessions(r, "the-key", NOW);
}

static inline void close_sessions(struct rig *r)
{
    gate_store_close(r->f.store);
    gate_sessions_destroy(r->sessions);
}

/* Another process on the same data. */
static inline void restart(struct rig *r, const char *key, uint64_t now_ms)
{
    struct gate_error err = {0};
    close_sessions(r);
    ck_assert_msg(try_open(&r->f, 0, &err) == GATE_OK, "%s", err.message);
    open_sessions(r, key, now_ms);
}

static inline void rig_stop(struct rig *r)
{
    close_sessions(r);
    memory_storage_finish(&r->f.memory);
    gate_vault_destroy(r->vault);
    data_finish(&r->data);
}

struct token {
    char text[GATE_CONSOLE_TOKEN + 1];
};

static inline struct token enter_as(struct rig *r, const char *peer, const char *agent,
                                    uint64_t now_ms)
{
    const struct gate_console_client client = {.peer = gate_str_of(peer),
                                               .agent = gate_str_of(agent)};
    struct token t;
    gate_sessions_enter(r->sessions, &client, now_ms, t.text);
    return t;
}

static inline struct token enter(struct rig *r, uint64_t now_ms)
{
    return enter_as(r, "192.0.2.7", "Browser/1", now_ms);
}

struct id {
    char text[GATE_CONSOLE_SESSION + 1];
};

static inline bool find(struct rig *r, const struct token *t, uint64_t now_ms, struct id *id)
{
    struct id other;
    return gate_sessions_find(r->sessions, gate_str_of(t->text), now_ms,
                              id != NULL ? id->text : other.text);
}

static inline size_t count(struct rig *r, uint64_t now_ms)
{
    struct gate_session_view all[GATE_SESSIONS_MAX];
    return gate_sessions_list(r->sessions, now_ms, all);
}

#endif
