/*
 * mailbox: messages from other threads to one worker's loop. Used by the control thread to tell
 * workers to drain, and later by the store thread to bring answers.
 */
#ifndef GATE_BASE_MAILBOX_H
#define GATE_BASE_MAILBOX_H

struct gate_mailbox;
struct st_h2o_multithread_queue_t;

/* Runs on the worker, once for each message. */
typedef void (*gate_mail_cb)(void *arg);

/* Worker thread, or before it runs. */
struct gate_mailbox *gate_mailbox_create(struct st_h2o_multithread_queue_t *queue);
/* Worker thread, after its last loop; messages that were not delivered are dropped. */
void gate_mailbox_destroy(struct gate_mailbox *m);
/* Any thread. Has cb(arg) called on the worker soon. */
void gate_mailbox_post(struct gate_mailbox *m, gate_mail_cb cb, void *arg);

#endif
