/* Follows edits of conf/ and scripts/: see conf_dir.h. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "live/conf_dir.h"
#include "live/watch_set.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS = 64 << 10 /* bytes that are read at once */ };

/* Owned by its creator and by the task that is on its way to the control thread. */
struct gate_watch {
    struct gate_control *control; /* lent */
    void (*changed)(void *arg);
    void *arg;
    atomic_uint owners;
    atomic_bool posted; /* a task is on its way */
    bool ended;         /* control thread: nobody is told any more */
    int inotify, stop;  /* stop: an eventfd */
    pthread_t thread;

    /* The watcher's thread, once it runs. */
    struct gate_watch_set *set;
    bool incomplete;              /* some watches could not be made */
    uint64_t first_ms, latest_ms; /* of the unrest; first_ms 0: all is quiet */
    bool writing;                 /* the latest event is of a file that is still open */
};

static void release(struct gate_watch *w)
{
    if (atomic_fetch_sub(&w->owners, 1) == 1)
        free(w);
}

/* ---- telling */

static void tell(void *arg)
{
    struct gate_watch *w = arg;
    /* Before the call: what happens while it reads the files is told again. */
    atomic_store(&w->posted, false);
    if (!w->ended)
        w->changed(w->arg);
    release(w);
}

static void post(struct gate_watch *w)
{
    if (atomic_exchange(&w->posted, true))
        return;
    atomic_fetch_add(&w->owners, 1);
    gate_control_post(w->control, tell, w);
}

/* ---- the thread */

static void update(struct gate_watch *w)
{
    struct gate_error why = {0};
    bool incomplete = gate_watch_set_update(w->set, &why) != GATE_OK;
    if (incomplete && !w->incomplete)
        gate_log_warn("not all edits will be noticed: %s", why.message);
    w->incomplete = incomplete;
}

static void note(struct gate_watch *w, enum gate_watch_verdict verdict)
{
    if (verdict == GATE_WATCH_NOTHING)
        return;
    w->latest_ms = gate_clock_mono_ms();
    if (w->first_ms == 0)
        w->first_ms = w->latest_ms;
    w->writing = verdict == GATE_WATCH_WRITING;
}

/* Reads what is there; the rest wakes poll again. */
static void read_events(struct gate_watch *w)
{
    _Alignas(struct inotify_event) char bytes[EVENTS];
    ssize_t n = read(w->inotify, bytes, sizeof bytes);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(bytes + at);
        note(w, gate_watch_set_judge(w->set, event));
        at += (ssize_t)(sizeof *event + event->len);
    }
}

/* When to tell of the unrest. A file that is still open for writing is waited for. */
static uint64_t due_ms(const struct gate_watch *w)
{
    uint64_t settled = w->latest_ms + GATE_WATCH_SETTLE_MS;
    uint64_t latest = w->first_ms + GATE_WATCH_MAX_MS;
    return w->writing || settled > latest ? latest : settled;
}

static void *run(void *arg)
{
    struct gate_watch *w = arg;
    struct pollfd fds[] = {{.fd = w->inotify, .events = POLLIN}, {.fd = w->stop, .events = POLLIN}};
    gate_thread_give_way();
    for (;;) {
        int timeout = -1;
        if (w->first_ms != 0) {
            uint64_t now_ms = gate_clock_mono_ms(), due = due_ms(w);
            timeout = due > now_ms ? (int)(due - now_ms) : 0;
        }
        int n = poll(fds, 2, timeout);
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0 && fds[1].revents != 0)
            return NULL;
        if (n > 0)
            read_events(w);
        if (w->first_ms == 0 || gate_clock_mono_ms() < due_ms(w))
            continue;
        w->first_ms = 0;
        w->writing = false;
        /* First the watches, then the word: what is read then is watched already. */
        update(w);
        post(w);
    }
    gate_log_error("edits of conf/ and scripts/ are not noticed any more: %s", strerror(errno));
    return NULL;
}

/* ---- */

static void close_all(struct gate_watch *w)
{
    gate_watch_set_destroy(w->set);
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->stop >= 0)
        close(w->stop);
}

/* Signals are for the thread that waits for them. */
static int start_thread(struct gate_watch *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0)
        pthread_setname_np(w->thread, "gate-watch");
    return error;
}

enum gate_status gate_watch_create(struct gate_control *control, const char *conf_dir,
                                   const char *script_dir, void (*changed)(void *arg), void *arg,
                                   struct gate_watch **out, struct gate_error *err)
{
    struct gate_watch *w = gate_calloc(1, sizeof *w);
    enum gate_status status = GATE_OK;
    w->control = control;
    w->changed = changed;
    w->arg = arg;
    atomic_init(&w->owners, 1);
    atomic_init(&w->posted, false);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int inotify_errno = errno;
    w->stop = eventfd(0, EFD_CLOEXEC);
    if (w->inotify < 0 || w->stop < 0) {
        status = gate_fail(err, GATE_EIO, "edits cannot be followed: %s",
                           strerrordesc_np(w->inotify < 0 ? inotify_errno : errno));
        goto fail;
    }
    w->set = gate_watch_set_create(w->inotify, conf_dir, script_dir);
    update(w);
    int error = start_thread(w);
    if (error != 0) {
        status = gate_fail(err, GATE_EIO, "the thread that follows edits does not start: %s",
                           strerrordesc_np(error));
        goto fail;
    }
    *out = w;
    return GATE_OK;

fail:
    close_all(w);
    release(w);
    return status;
}

void gate_watch_destroy(struct gate_watch *w)
{
    if (w == NULL)
        return;
    uint64_t one = 1;
    ssize_t n = write(w->stop, &one, sizeof one);
    assert(n == (ssize_t)sizeof one);
    (void)n;
    pthread_join(w->thread, NULL);
    w->ended = true;
    close_all(w);
    release(w);
}
