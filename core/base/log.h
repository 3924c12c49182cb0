/*
 * log: leveled log lines to standard error, and the request log. Two ways in: gate_log writes a
 * line at once (start, stop, warnings, errors) from any thread; a gate_log_batch collects the
 * request lines of one worker and writes them with one system call, so that the request path does
 * none of its own. Never pass a credential, a body or a path with a key.
 */
#ifndef GATE_BASE_LOG_H
#define GATE_BASE_LOG_H

#include "base/buf.h"

enum gate_log_format { GATE_LOG_TEXT = 0, GATE_LOG_JSON };

enum {
    GATE_LOG_MAX_MESSAGE = 4096, /* bytes of a message; the rest is cut */
    GATE_LOG_MAX_VALUE = 512,    /* bytes of one value of a request line; the rest is cut */
};

/* Control thread, before any worker runs. fd is where lines go (2). A line that fd does not take
 * (full and non-blocking, closed, disk full) is dropped and counted; the process must ignore
 * SIGPIPE. */
void gate_log_setup(enum gate_log_level level, enum gate_log_format format, int fd);
void gate_log_set_level(enum gate_log_level level); /* any thread */
enum gate_log_level gate_log_level_now(void);
enum gate_log_format gate_log_format_now(void);
/* Lines dropped since the start. Any thread. */
uint64_t gate_log_dropped(void);

/* Any thread. Writes one line: time, level, message (control bytes escaped, cut at 4 KiB). */
__attribute__((format(printf, 2, 3))) void gate_log(enum gate_log_level level, const char *format,
                                                    ...);

#define gate_log_debug(...)                                                                        \
    do {                                                                                           \
        if (gate_log_level_now() <= GATE_LOG_DEBUG)                                                \
            gate_log(GATE_LOG_DEBUG, __VA_ARGS__);                                                 \
    } while (0)
#define gate_log_info(...) gate_log(GATE_LOG_INFO, __VA_ARGS__)
#define gate_log_warn(...) gate_log(GATE_LOG_WARN, __VA_ARGS__)
#define gate_log_error(...) gate_log(GATE_LOG_ERROR, __VA_ARGS__)

/* What is said of one request when it ends. Strings may hold any byte; they are escaped. */
struct gate_log_request {
    struct gate_str request_id, method, path, model, target, provider, account, outcome, error_code,
        client;
    int status;          /* sent to the client; 0: none was sent */
    int upstream_status; /* 0: no upstream answered */
    uint32_t attempts;
    uint64_t bytes_in, bytes_out;
    uint64_t total_us; /* from the complete request to the end of the answer */
    int64_t first_us;  /* to the first byte of the answer; -1: none */
    bool stream;
};

/* One worker's pending lines. */
struct gate_log_batch {
    struct gate_buf lines;
    uint64_t second; /* the time that `stamp` shows, in seconds since the epoch */
    char stamp[20];  /* "2026-01-02T03:04:05." */
};
void gate_log_batch_init(struct gate_log_batch *b);
/* Appends a line at level INFO (nothing is done when the level hides it); flushes by itself above
 * 32 KiB. */
void gate_log_batch_request(struct gate_log_batch *b, const struct gate_log_request *r);
bool gate_log_batch_pending(const struct gate_log_batch *b);
void gate_log_batch_flush(struct gate_log_batch *b);
void gate_log_batch_finish(struct gate_log_batch *b); /* flushes and frees */

#endif
