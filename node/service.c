/*
 * The reader thread: it answers deliveries, receipts and waits from committed data, so that readers never hold up the
 * loop. Requests come from the loop, which knows the clients. A request that cannot be answered yet is parked until the
 * next certificate, or until its deadline. Only certified blocks are served, so that every answer can be proved.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

enum {
    /* Limit of parked requests. A request beyond it is answered NOT_READY at once. */
    PARKED_MAX = 192,
    /* The same limit for one connection. */
    PARKED_SOURCE_MAX = PARKED_MAX / 4,
    WAIT_SEQUENCES_MAX = 4096,
    WAIT_MS_MAX = 60000,
};

/* ---- the thread ---- */

static bool ready(struct service *service, struct api_request *request) {
    uint64_t from;
    uint64_t to;
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_WAIT)
        return answer_wait_ready(service, request);
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_DELIVER)
        return answer_deliver_range(service, request->message->deliver, &from, &to) != ORD_ERR_BUSY;
    return true;
}

/* The loop passes only requests of these kinds to this thread. */
static void answer(struct service *service, struct api_request *request) {
    static void (*const answers[])(struct service *, struct api_request *) = {
        [ORDAIN__V1__REQUEST__KIND_SUBMIT] = answer_submission, [ORDAIN__V1__REQUEST__KIND_WAIT] = answer_wait,
        [ORDAIN__V1__REQUEST__KIND_RECEIPT] = answer_receipt,   [ORDAIN__V1__REQUEST__KIND_DELIVER] = answer_deliver,
        [ORDAIN__V1__REQUEST__KIND_EVIDENCE] = answer_evidence,
    };
    answers[request->message->kind_case](service, request);
}

static bool may_park(const struct service *service, const struct api_request *request) {
    uint64_t source = net_request_source(request->net);
    uint32_t count = 0;
    for (const struct work *other = service->parked; other != NULL; other = other->next)
        count += net_request_source(((const struct api_request *) other)->net) == source;
    return service->parked_count < PARKED_MAX && count < PARKED_SOURCE_MAX;
}

static void take(struct service *service, struct api_request *request) {
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_WAIT)
        answer_wait_prepare(request);
    uint64_t now = node_clock_ms();
    if (ready(service, request) || request->deadline_ms <= now || !may_park(service, request)) {
        answer(service, request);
        return;
    }
    request->work.next = service->parked;
    service->parked = &request->work;
    service->parked_count++;
}

/* Answers the parked requests that are ready or due. Gives the time of the next look. */
static uint64_t look_at_parked(struct service *service) {
    uint64_t now = node_clock_ms();
    uint64_t next = now + 1000;
    for (struct work **slot = &service->parked; *slot != NULL;) {
        struct api_request *request = (struct api_request *) *slot;
        if (ready(service, request) || request->deadline_ms <= now) {
            *slot = request->work.next;
            service->parked_count--;
            answer(service, request);
            continue;
        }
        next = ord_min(next, request->deadline_ms);
        slot = &request->work.next;
    }
    return next;
}

static void wait_until(struct service *service, uint64_t at_ms) {
    const struct timespec at = {.tv_sec = (time_t) (at_ms / 1000), .tv_nsec = (long) (at_ms % 1000) * 1000000};
    pthread_cond_timedwait(&service->changed, &service->mutex, &at);
}

static void *run(void *argument) {
    struct service *service = argument;
    uint64_t seen = 0;
    uint64_t due = 0;
    pthread_mutex_lock(&service->mutex);
    while (!service->stopping) {
        if (service->queue.head == NULL && service->certified_height == seen && node_clock_ms() < due) {
            wait_until(service, due);
            continue;
        }
        struct work *work = service->queue.head;
        service->queue.head = NULL;
        seen = service->certified_height;
        pthread_mutex_unlock(&service->mutex);
        while (work != NULL) {
            struct work *next = work->next;
            take(service, (struct api_request *) work);
            work = next;
        }
        due = look_at_parked(service);
        pthread_mutex_lock(&service->mutex);
    }
    pthread_mutex_unlock(&service->mutex);
    return NULL;
}

/* Checks a request that may wait, and sets its deadline. False: it names too many sequences, or none. */
static bool prepare(struct api_request *request) {
    uint32_t timeout_ms = 0;
    if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_WAIT) {
        const Ordain__V1__WaitRequest *wait = request->message->wait;
        if (wait->n_sequences == 0 || wait->n_sequences > WAIT_SEQUENCES_MAX)
            return false;
        timeout_ms = wait->timeout_ms;
    } else if ((int) request->message->kind_case == ORDAIN__V1__REQUEST__KIND_DELIVER) {
        timeout_ms = request->message->deliver->timeout_ms;
    }
    request->deadline_ms = node_clock_ms() + ord_min(timeout_ms, WAIT_MS_MAX);
    return true;
}

void service_post(struct node *node, struct api_request *request) {
    struct service *service = &node->service;
    if (!prepare(request)) {
        api_reply_error(request, ORDAIN__V1__STATUS__BAD_REQUEST, "a wait names 1 to 4096 sequence numbers");
        return;
    }
    pthread_mutex_lock(&service->mutex);
    work_queue_push(&service->queue, &request->work);
    pthread_cond_signal(&service->changed);
    pthread_mutex_unlock(&service->mutex);
}

void service_certified(void *context, uint64_t height, const struct channel_certificate *certificate) {
    struct node *node = context;
    struct service *service = &node->service;
    pthread_mutex_lock(&service->mutex);
    if (certificate != NULL && height > 0) {
        struct service_slot *slot = &service->certificates[service->certificate_next];
        service->certificate_next = (service->certificate_next + 1) % SERVICE_CERTIFICATES;
        slot->height = height;
        slot->size = channel_certificate_encode(slot->bytes, certificate);
    }
    service->certified_height = ord_max(service->certified_height, height);
    pthread_cond_signal(&service->changed);
    pthread_mutex_unlock(&service->mutex);
}

enum ord_err service_start(struct node *node) {
    struct service *service = &node->service;
    service->node = node;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&service->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&service->mutex, NULL);
    if (pthread_create(&service->thread, NULL, run, service) != 0)
        return ORD_ERR_NO_MEMORY;
    service->running = true;
    return ORD_OK;
}

void service_stop(struct node *node) {
    struct service *service = &node->service;
    if (service->running) {
        pthread_mutex_lock(&service->mutex);
        service->stopping = true;
        pthread_cond_signal(&service->changed);
        pthread_mutex_unlock(&service->mutex);
        pthread_join(service->thread, NULL);
        node_discard(node, service->queue.head);
        node_discard(node, service->parked);
        pthread_cond_destroy(&service->changed);
        pthread_mutex_destroy(&service->mutex);
    }
    service_block_drop(&service->block);
}
