#include "base/mailbox.h"
#include "base/buf.h"
#include <h2o.h>
#include <stdlib.h>

struct gate_mailbox {
    h2o_multithread_receiver_t receiver;
};

struct mail {
    h2o_multithread_message_t message;
    gate_mail_cb cb;
    void *arg;
};

static void on_mail(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    (void)receiver;
    while (!h2o_linklist_is_empty(messages)) {
        h2o_multithread_message_t *m =
            H2O_STRUCT_FROM_MEMBER(h2o_multithread_message_t, link, messages->next);
        struct mail *mail = H2O_STRUCT_FROM_MEMBER(struct mail, message, m);
        h2o_linklist_unlink(&m->link);
        mail->cb(mail->arg);
        free(mail);
    }
}

struct gate_mailbox *gate_mailbox_create(h2o_multithread_queue_t *queue)
{
    struct gate_mailbox *m = gate_calloc(1, sizeof *m);
    h2o_multithread_register_receiver(queue, &m->receiver, on_mail);
    return m;
}

void gate_mailbox_destroy(struct gate_mailbox *m)
{
    if (m == NULL)
        return;
    while (!h2o_linklist_is_empty(&m->receiver._messages)) {
        struct mail *mail =
            H2O_STRUCT_FROM_MEMBER(struct mail, message.link, m->receiver._messages.next);
        h2o_linklist_unlink(&mail->message.link);
        free(mail);
    }
    h2o_multithread_unregister_receiver(m->receiver.queue, &m->receiver);
    free(m);
}

void gate_mailbox_post(struct gate_mailbox *m, gate_mail_cb cb, void *arg)
{
    struct mail *mail = gate_calloc(1, sizeof *mail);
    mail->cb = cb;
    mail->arg = arg;
    h2o_multithread_send_message(&m->receiver, &mail->message);
}
