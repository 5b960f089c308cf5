/*
 * The reader thread: it answers deliveries, receipts and waits from committed data, so that readers never hold up the
 * loop. Requests come from the loop, which knows the clients. A request that cannot be answered yet is parked until the
 * next certificate, or until its deadline. Only certified blocks are served, so that every answer can be proved.
 */
#include <stdlib.h>
#include <string.h>

#include "node/answer.h"

enum {
    /* How often the reader thread looks for parked requests whose connection has ended. */
    PARKED_LOOK_MS = 100,
    WAIT_MS_MAX = 60000,
};

/* ---- the thread ---- */

static bool is_kind(const struct api_request *request, int kind) {
    return (int) request->ask.kind == kind;
}

static bool ready(struct service *service, struct api_request *request) {
    uint64_t from;
    uint64_t to;
    if (is_kind(request, ORDAIN__V1__REQUEST__KIND_WAIT))
        return answer_wait_ready(service, request);
    if (is_kind(request, ORDAIN__V1__REQUEST__KIND_DELIVER))
        return answer_deliver_range(service, &request->ask, &from, &to) != ORD_ERR_BUSY;
    return true;
}

/* The loop passes only requests of these kinds to this thread. */
static void answer(struct service *service, struct api_request *request) {
    static void (*const answers[])(struct service *, struct api_request *) = {
        [ORDAIN__V1__REQUEST__KIND_SUBMIT] = answer_submission, [ORDAIN__V1__REQUEST__KIND_WAIT] = answer_wait,
        [ORDAIN__V1__REQUEST__KIND_RECEIPT] = answer_receipt,   [ORDAIN__V1__REQUEST__KIND_DELIVER] = answer_deliver,
        [ORDAIN__V1__REQUEST__KIND_EVIDENCE] = answer_evidence,
    };
    service->read_bytes = 0;
    answers[request->ask.kind](service, request);
}

static bool may_park(const struct service *service, const struct api_request *request) {
    uint64_t source = net_request_source(request->net);
    uint32_t count = 0;
    for (const struct work *other = service->parked; other != NULL; other = other->next)
        count += net_request_source(((const struct api_request *) other)->net) == source;
    return service->parked_count < SERVICE_PARKED_MAX && count < SERVICE_PARKED_SOURCE_MAX;
}

static void make_ready(struct service *service, struct api_request *request) {
    request->turn.source = net_request_source(request->net);
    fair_push(&service->ready, &request->turn);
}

/* True if the answer reads nothing: a submission none of whose envelopes was ordered before. */
static bool is_light(const struct api_request *request) {
    if (!is_kind(request, ORDAIN__V1__REQUEST__KIND_SUBMIT))
        return false;
    for (uint32_t i = 0; i < request->submission.count; i++)
        if (request->submission.results[i].ordered)
            return false;
    return true;
}

static void take(struct service *service, struct api_request *request) {
    if (is_light(request)) {
        answer(service, request);
        return;
    }
    if (ready(service, request) || request->deadline_ms <= node_clock_ms() || !may_park(service, request)) {
        make_ready(service, request);
        return;
    }
    request->work.next = service->parked;
    service->parked = &request->work;
    service->parked_count++;
}

static bool is_unknown(const struct api_request *request) {
    return is_kind(request, ORDAIN__V1__REQUEST__KIND_WAIT) && request->client_index == UINT32_MAX;
}

/*
 * What becomes of a parked request now. True: it is parked no longer. A wait for a client that was not registered goes
 * back to the loop, which knows the clients, when some have registered since.
 */
static bool leaves(struct service *service, struct api_request *request, uint64_t now, uint64_t registrations) {
    if (net_request_closed(request->net))
        api_drop(request);
    else if (ready(service, request) || request->deadline_ms <= now)
        make_ready(service, request);
    else if (!is_unknown(request) || request->registrations_seen == registrations)
        return false;
    else if (!inbox_post(&service->node->inbox, &request->work, WORK_REQUEST))
        api_reply_stopping(request);
    return true;
}

/* Looks at the parked requests. Gives the time of the next look. */
static uint64_t look_at_parked(struct service *service, uint64_t registrations) {
    uint64_t now = node_clock_ms();
    uint64_t next = now + PARKED_LOOK_MS;
    for (struct work **slot = &service->parked; *slot != NULL;) {
        struct api_request *request = (struct api_request *) *slot;
        struct work *after = request->work.next;
        if (leaves(service, request, now, registrations)) {
            *slot = after;
            service->parked_count--;
            continue;
        }
        next = ord_min(next, request->deadline_ms);
        slot = &request->work.next;
    }
    return service->parked == NULL ? now + 1000 : next;
}

static struct api_request *request_of(struct fair_item *turn) {
    return (struct api_request *) (void *) ((uint8_t *) turn - offsetof(struct api_request, turn));
}

/* Answers one of the requests that are ready. Then others come first, so that no connection holds up the rest. */
static void answer_next(struct service *service) {
    struct fair_item *turn = fair_pop(&service->ready);
    if (turn == NULL)
        return;
    struct api_request *request = request_of(turn);
    if (net_request_closed(request->net))
        api_drop(request);
    else
        answer(service, request);
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
        bool changed = service->certified_height != seen || node_clock_ms() >= due || service->queue.head != NULL;
        if (!changed && service->ready.head == NULL) {
            wait_until(service, due);
            continue;
        }
        struct work *work = service->queue.head;
        uint64_t registrations = service->registrations;
        service->queue.head = NULL;
        seen = service->certified_height;
        pthread_mutex_unlock(&service->mutex);
        while (work != NULL) {
            struct work *next = work->next;
            take(service, (struct api_request *) work);
            work = next;
        }
        if (changed)
            due = look_at_parked(service, registrations);
        answer_next(service);
        pthread_mutex_lock(&service->mutex);
    }
    pthread_mutex_unlock(&service->mutex);
    return NULL;
}

static void set_deadline(struct api_request *request) {
    if (request->deadline_ms == 0)
        request->deadline_ms = node_clock_ms() + ord_min(request->ask.timeout_ms, WAIT_MS_MAX);
}

void service_post(struct node *node, struct api_request *request) {
    struct service *service = &node->service;
    set_deadline(request);
    pthread_mutex_lock(&service->mutex);
    /* The loop has just looked the client up, and it alone counts. A registration after that is never missed. */
    request->registrations_seen = service->registrations;
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
    uint32_t client_count = node->replica == NULL ? 0 : channel_client_count(replica_channel(node->replica));
    service->registrations += client_count != service->client_count;
    service->client_count = client_count;
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
        for (struct fair_item *turn; (turn = fair_pop(&service->ready)) != NULL;)
            api_reply_stopping(request_of(turn));
        pthread_cond_destroy(&service->changed);
        pthread_mutex_destroy(&service->mutex);
    }
    service_block_drop(&service->block);
}
