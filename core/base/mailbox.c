#include "base/mailbox.h"
#include "base/buf.h"
#include <h2o.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gate_mailbox {
    h2o_multithread_receiver_t receiver;
    pthread_mutex_t lock; /* of open: held while a message is handed over */
    bool open;
    _Atomic unsigned refs;
};

struct mail {
    h2o_multithread_message_t message;
    gate_mail_cb cb;
    void *arg;
};

static void deliver(h2o_linklist_t *messages)
{
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *m =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct mail *mail = H2O_STRUCT_FROM_MEMBER(struct mail, message, m);
        h2o_linklist_unlink(&m->link);
        mail->cb(mail->arg);
        free(mail);
    }
}

static void on_mail(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    deliver(messages);
}

struct gate_mailbox *gate_mailbox_create(h2o_multithread_queue_t *queue)
{
    struct gate_mailbox *m = gate_calloc(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->open = true;
    atomic_init(&m->refs, 1);
    h2o_multithread_register_receiver(queue, &m->receiver, on_mail);
    return m;
}

void gate_mailbox_retain(struct gate_mailbox *m)
{
    atomic_fetch_add(&m->refs, 1);
}

void gate_mailbox_release(struct gate_mailbox *m)
{
    if (atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void gate_mailbox_close(struct gate_mailbox *m)
{
    if (m == NULL)
        return;
    pthread_mutex_lock(&m->lock);
    m->open = false;
    pthread_mutex_unlock(&m->lock);
    deliver(&m->receiver._messages);
    h2o_multithread_unregister_receiver(m->receiver.queue, &m->receiver);
    gate_mailbox_release(m);
}

bool gate_mailbox_post(struct gate_mailbox *m, gate_mail_cb cb, void *arg)
{
    struct mail *mail = gate_calloc(1, sizeof *mail);
    mail->cb = cb;
    mail->arg = arg;
    pthread_mutex_lock(&m->lock);
    bool open = m->open;
    if (open)
        h2o_multithread_send_message(&m->receiver, &mail->message);
    pthread_mutex_unlock(&m->lock);
    if (!open)
        free(mail);
    return open;
}
