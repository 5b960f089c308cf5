/*
 * Inbox: a list under a mutex, and an eventfd that ends the loop's wait.
 */
#include "node/inbox.h"

#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum ord_err inbox_init(struct inbox *inbox) {
    inbox->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (inbox->event_fd < 0)
        return ORD_ERR_IO;
    pthread_mutex_init(&inbox->mutex, NULL);
    return ORD_OK;
}

void inbox_deinit(struct inbox *inbox) {
    close(inbox->event_fd);
    pthread_mutex_destroy(&inbox->mutex);
}

void inbox_wake(struct inbox *inbox) {
    uint64_t one = 1;
    ssize_t written = write(inbox->event_fd, &one, sizeof(one));
    /* A failed write means that the counter is full, so the loop is being woken already. */
    (void) written;
}

bool inbox_post(struct inbox *inbox, struct work *work, enum work_type type) {
    work->type = type;
    pthread_mutex_lock(&inbox->mutex);
    if (inbox->closed) {
        pthread_mutex_unlock(&inbox->mutex);
        return false;
    }
    bool was_empty = inbox->posted.head == NULL;
    work_queue_push(&inbox->posted, work);
    pthread_mutex_unlock(&inbox->mutex);
    if (was_empty)
        inbox_wake(inbox);
    return true;
}

static struct work *take_all(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    struct work *work = inbox->posted.head;
    inbox->posted = (struct work_queue) {0};
    pthread_mutex_unlock(&inbox->mutex);
    return work;
}

struct work *inbox_take(struct inbox *inbox, uint64_t timeout_ms) {
    struct work *work = take_all(inbox);
    if (work != NULL || timeout_ms == 0)
        return work;
    struct pollfd poll_fd = {.fd = inbox->event_fd, .events = POLLIN};
    if (poll(&poll_fd, 1, timeout_ms > INT_MAX ? INT_MAX : (int) timeout_ms) > 0) {
        uint64_t count;
        ssize_t got = read(inbox->event_fd, &count, sizeof(count));
        (void) got;
    }
    return take_all(inbox);
}

struct work *inbox_close(struct inbox *inbox) {
    pthread_mutex_lock(&inbox->mutex);
    inbox->closed = true;
    pthread_mutex_unlock(&inbox->mutex);
    return take_all(inbox);
}
