/*
 * mailbox: messages from other threads to one worker's loop. Used by the control thread (drain, new
 * account tables, questions about recent requests) and for answers that a request waits for. A
 * sender that may outlive the worker retains the mailbox.
 */
#ifndef GATE_BASE_MAILBOX_H
#define GATE_BASE_MAILBOX_H

#include <stdbool.h>

struct gate_mailbox;
struct st_h2o_multithread_queue_t;

/* Runs on the worker, once for each message. */
typedef void (*gate_mail_cb)(void *arg);

/* Worker thread, or before it runs. */
struct gate_mailbox *gate_mailbox_create(struct st_h2o_multithread_queue_t *queue);
/* Worker thread, after its last loop: messages that wait are delivered, later ones refused. Drops
 * the worker's reference. NULL is fine. */
void gate_mailbox_close(struct gate_mailbox *m);
/* Any thread. */
void gate_mailbox_retain(struct gate_mailbox *m);
void gate_mailbox_release(struct gate_mailbox *m);
/* Any thread. Has cb(arg) called on the worker soon. False: the mailbox is closed, cb will not be
 * called. */
bool gate_mailbox_post(struct gate_mailbox *m, gate_mail_cb cb, void *arg);

#endif
