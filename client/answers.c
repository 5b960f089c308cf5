/* What each replica last answered. */
#include "client/answers.h"

#include <string.h>

#include "client/flow/text.h"
#include "client/replicas.h"

enum ord_err client_answers_init(struct client_answers *answers) {
    memset(answers, 0, sizeof(*answers));
    return pthread_mutex_init(&answers->lock, NULL) == 0 ? ORD_OK : ORD_ERR_NO_MEMORY;
}

void client_answers_deinit(struct client_answers *answers) {
    pthread_mutex_destroy(&answers->lock);
}

void client_answers_note(struct client_answers *answers, uint32_t replica, enum ord_err err, enum engine_status status,
                         const char *message) {
    struct client_answer *answer = &answers->list[replica];
    pthread_mutex_lock(&answers->lock);
    answer->at_us = client_now_us();
    if (err == ORD_OK)
        engine_status_say(answer->words, sizeof(answer->words), status, message);
    else
        client_say(answer->words, sizeof(answer->words), "%s",
                   err == ORD_ERR_TIMEOUT  ? "no answer in time"
                   : err == ORD_ERR_CLOSED ? "the connection ended before an answer came"
                                           : "a malformed reply");
    pthread_mutex_unlock(&answers->lock);
}

void client_answers_note_call(struct client_answers *answers, uint32_t replica, enum engine_request_kind kind,
                              enum ord_err err, const struct engine_answer *answer) {
    if (err == ORD_ERR_NO_MEMORY)
        return;
    if (err != ORD_OK) {
        client_answers_note(answers, replica, err, ENGINE_STATUS_UNSPECIFIED, NULL);
        return;
    }
    enum engine_status status = answer->status;
    const char *message = answer->message;
    bool submitted = kind == ENGINE_REQUEST_SUBMIT && answer->result_count > 0;
    if (submitted) {
        status = answer->results[0].status;
        message = answer->results[0].message;
    }
    for (uint32_t i = 0; submitted && i < answer->result_count; i++)
        if (answer->results[i].status != ENGINE_STATUS_ACCEPTED && answer->results[i].status != ENGINE_STATUS_OK) {
            status = answer->results[i].status;
            message = answer->results[i].message;
            break;
        }
    client_answers_note(answers, replica, ORD_OK, status, message);
}

void client_answers_say(struct client_answers *answers, uint32_t replica, uint64_t now_us, char *out, size_t out_size) {
    const struct client_answer *answer = &answers->list[replica];
    pthread_mutex_lock(&answers->lock);
    if (answer->at_us == 0)
        client_say(out, out_size, "no answer so far");
    else
        client_say(out, out_size, "%s, %.1f s ago", answer->words, (double) (now_us - answer->at_us) / 1e6);
    pthread_mutex_unlock(&answers->lock);
}
