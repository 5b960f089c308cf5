/*
 * `ordain submit`: reads transactions, groups them into envelopes, hands them to libordain and reports what became of
 * them.
 */
#include "cli/submit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "channel/config.h"
#include "channel/envelope.h"
#include "cli/report.h"

#define SLICE_MS           200u /* how often progress is checked while waiting */
#define REFUSALS_SHOWN_MAX 20u

/* What the events have told so far. The library's thread writes it. */
struct progress {
    pthread_mutex_t lock;
    uint64_t accepted; /* counted in transactions */
    uint64_t final;
    uint64_t refused;
    uint64_t envelopes_final;
    uint64_t refusals_shown;
    uint64_t moved_us; /* when an event last arrived */
    uint64_t receipts_lost;
    struct cli_latencies accepted_latencies;
    struct cli_latencies final_latencies;
};

struct run {
    const struct submit_arguments *arguments;
    struct ordain *client;
    struct ordain_channel channel;
    struct progress progress;
    struct cli_input input;
    bool draw; /* draw progress on a terminal */
    uint64_t drawn_us;
    uint64_t started_us;
    uint64_t read; /* counted in transactions */
    uint64_t bytes;
    uint64_t envelopes;
    uint64_t malformed; /* input lines that are not a transaction */
    /* The envelope that is being assembled. */
    uint8_t *buffer;
    size_t buffer_size;
    size_t buffer_capacity;
    size_t *sizes; /* room for per_envelope elements */
    struct ordain_bytes *transactions;
    uint32_t count;
    uint64_t first_line;
    uint64_t last_line;
};

/* An envelope under way; its last event frees it. */
struct group {
    struct run *run;
    uint64_t first_line;
    uint64_t last_line;
    uint32_t count;
    /* With --rate: when it was due. Latencies count from then on, also while there was no room for it. 0: no rate. */
    uint64_t due_us;
};

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000u + (uint64_t) now.tv_nsec / 1000u;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

/* The caller holds the lock, so that lines do not mix. */
static void show_refusal(struct run *run, uint64_t first_line, uint64_t last_line, const char *error,
                         const char *message) {
    struct progress *progress = &run->progress;
    if (progress->refusals_shown++ >= REFUSALS_SHOWN_MAX) {
        if (progress->refusals_shown == REFUSALS_SHOWN_MAX + 1)
            cli_say("more are refused; they are counted, but not shown");
        return;
    }
    const char *what = run->arguments->generate != 0 ? "transaction" : "line";
    /* A replica's message begins with its status, which often repeats the error's name. */
    bool said = strncmp(message, error, strlen(error)) == 0;
    if (first_line == last_line)
        fprintf(stderr, "%s %" PRIu64 ": %s%s%s\n", what, first_line, said ? "" : error,
                said || message[0] == '\0' ? "" : ": ", message);
    else
        fprintf(stderr, "%ss %" PRIu64 "-%" PRIu64 " (one envelope): %s%s%s\n", what, first_line, last_line,
                said ? "" : error, said || message[0] == '\0' ? "" : ": ", message);
}

static void keep_receipt(struct run *run, const struct ordain_event *event) {
    char path[4096];
    const char *folder = run->arguments->receipts_folder;
    int length = snprintf(path, sizeof(path), "%s/%020" PRIu64 ".receipt", folder, event->sequence);
    bool ok = length > 0 && (size_t) length < sizeof(path) && event->receipt.size > 0 &&
              cli_write_file(path, event->receipt.data, event->receipt.size) == CLI_EXIT_OK;
    if (!ok) {
        pthread_mutex_lock(&run->progress.lock);
        run->progress.receipts_lost++;
        pthread_mutex_unlock(&run->progress.lock);
    }
}

static void on_event(void *context, const struct ordain_event *event) {
    struct group *group = context;
    struct run *run = group->run;
    struct progress *progress = &run->progress;
    uint64_t elapsed_us = group->due_us == 0 ? event->elapsed_us : now_us() - group->due_us;
    if (event->kind == ORDAIN_EVENT_FINAL && run->arguments->receipts_folder != NULL)
        keep_receipt(run, event);
    pthread_mutex_lock(&progress->lock);
    progress->moved_us = now_us();
    switch (event->kind) {
    case ORDAIN_EVENT_ACCEPTED:
        progress->accepted += group->count;
        cli_latency_add(&progress->accepted_latencies, elapsed_us);
        break;
    case ORDAIN_EVENT_FINAL:
        progress->final += group->count;
        progress->envelopes_final++;
        cli_latency_add(&progress->final_latencies, elapsed_us);
        break;
    case ORDAIN_EVENT_FAILED:
        /* The summary reports envelopes that were still open at the end. */
        if (event->error != ORDAIN_STOPPED) {
            progress->refused += group->count;
            show_refusal(run, group->first_line, group->last_line, ordain_error_name(event->error), event->message);
        }
        break;
    }
    pthread_mutex_unlock(&progress->lock);
    if (event->kind != ORDAIN_EVENT_ACCEPTED)
        free(group);
}

/* ---- Progress --------------------------------------------------------------------------------------------------- */

static void draw(struct run *run, bool last) {
    uint64_t now = now_us();
    if (!run->draw || (!last && now - run->drawn_us < SLICE_MS * 1000u))
        return;
    run->drawn_us = now;
    pthread_mutex_lock(&run->progress.lock);
    double seconds = (double) (now - run->started_us) / 1e6;
    uint64_t done = run->arguments->wait ? run->progress.final : run->progress.accepted;
    fprintf(stderr,
            "\r%" PRIu64 " read  %" PRIu64 " accepted  %" PRIu64 " final  %" PRIu64 " refused  %.0f tx/s \033[K%s",
            run->read, run->progress.accepted, run->progress.final, run->progress.refused,
            seconds > 0 ? (double) done / seconds : 0.0, last ? "\r\033[K" : "");
    fflush(stderr);
    pthread_mutex_unlock(&run->progress.lock);
}

static bool stalled(struct run *run) {
    pthread_mutex_lock(&run->progress.lock);
    uint64_t quiet_us = now_us() - run->progress.moved_us;
    pthread_mutex_unlock(&run->progress.lock);
    return quiet_us >= (uint64_t) run->arguments->timeout_ms * 1000u;
}

static void touch(struct run *run) {
    pthread_mutex_lock(&run->progress.lock);
    run->progress.moved_us = now_us();
    pthread_mutex_unlock(&run->progress.lock);
}

static int say_stalled(struct run *run) {
    draw(run, true);
    cli_say("nothing moved for %.1f s; giving up", (double) run->arguments->timeout_ms / 1000.0);
    cli_say_answers(run->client);
    return CLI_EXIT_UNREACHABLE;
}

/* ---- Putting envelopes together --------------------------------------------------------------------------------- */

/* Waits until the next transactions are due according to --rate, and tells when that was. 0: there is no rate. */
static uint64_t pace(const struct run *run) {
    if (run->arguments->rate == 0)
        return 0;
    uint64_t before = run->read - run->count;
    uint64_t due_us = run->started_us + (uint64_t) ((double) before * 1e6 / (double) run->arguments->rate);
    struct timespec due = {.tv_sec = (time_t) (due_us / 1000000u), .tv_nsec = (long) (due_us % 1000000u) * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) != 0)
        continue;
    return due_us;
}

static int flush(struct run *run) {
    if (run->count == 0)
        return CLI_EXIT_OK;
    uint64_t due_us = pace(run);
    size_t at = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        run->transactions[i] = (struct ordain_bytes) {run->buffer + at, run->sizes[i]};
        at += run->sizes[i];
    }
    struct group *group = malloc(sizeof(*group));
    if (group == NULL)
        return cli_no_memory();
    *group = (struct group) {run, run->first_line, run->last_line, run->count, due_us};
    run->envelopes++;
    if (run->arguments->rate != 0)
        touch(run);
    enum ordain_error error = ORDAIN_TIMEOUT;
    while (error == ORDAIN_TIMEOUT) {
        error = ordain_submit(run->client, run->transactions, run->count, on_event, group, SLICE_MS);
        draw(run, false);
        if (error == ORDAIN_TIMEOUT && stalled(run)) {
            free(group);
            return say_stalled(run);
        }
    }
    if (error != ORDAIN_OK) {
        struct ordain_event event = {.kind = ORDAIN_EVENT_FAILED, .error = error, .message = ""};
        char words[160] = "";
        if (error == ORDAIN_TOO_LARGE)
            snprintf(words, sizeof(words), "an envelope of %zu bytes; this channel takes %" PRIu32 " at most",
                     at + CHANNEL_ENVELOPE_OVERHEAD + run->count * sizeof(uint32_t), run->channel.envelope_bytes_max);
        event.message = words;
        on_event(group, &event);
    }
    run->count = 0;
    run->buffer_size = 0;
    return CLI_EXIT_OK;
}

static int add(struct run *run, struct ord_span transaction, uint64_t line) {
    /* End the envelope early if the next transaction would make it larger than the channel allows. */
    size_t overhead = CHANNEL_ENVELOPE_OVERHEAD + (run->count + 1) * sizeof(uint32_t);
    if (run->count > 0 && run->buffer_size + transaction.size + overhead > run->channel.envelope_bytes_max) {
        int code = flush(run);
        if (code != CLI_EXIT_OK)
            return code;
    }
    if (run->buffer_size + transaction.size > run->buffer_capacity) {
        size_t capacity = 2 * (run->buffer_size + transaction.size);
        uint8_t *buffer = realloc(run->buffer, capacity);
        if (buffer == NULL)
            return cli_no_memory();
        run->buffer = buffer;
        run->buffer_capacity = capacity;
    }
    memcpy(run->buffer + run->buffer_size, transaction.data, transaction.size);
    run->buffer_size += transaction.size;
    run->sizes[run->count++] = transaction.size;
    if (run->count == 1)
        run->first_line = line;
    run->last_line = line;
    run->read++;
    run->bytes += transaction.size;
    return run->count == run->arguments->per_envelope ? flush(run) : CLI_EXIT_OK;
}

static int open_input(struct run *run) {
    char why[ORDAIN_TEXT_SIZE];
    if (cli_input_open(&run->input, run->arguments->path, run->arguments->format, CHANNEL_ABSOLUTE_MAX_BYTES_LIMIT, why,
                       sizeof(why)) == ORD_OK)
        return CLI_EXIT_OK;
    return cli_fail(CLI_EXIT_USAGE, "%s", why);
}

static int submit_file(struct run *run) {
    struct cli_input *input = &run->input;
    int code = CLI_EXIT_OK;
    while (code == CLI_EXIT_OK) {
        struct ord_span transaction;
        enum ord_err err = cli_input_next(input, &transaction);
        if (err == ORD_ERR_NOT_FOUND)
            break;
        touch(run); /* a slow writer on standard input is not a stall of the channel */
        if (err == ORD_OK) {
            code = add(run, transaction, input->line);
        } else if (err == ORD_ERR_INVALID || err == ORD_ERR_TOO_LARGE) {
            pthread_mutex_lock(&run->progress.lock);
            run->malformed++;
            show_refusal(run, input->line, input->line, err == ORD_ERR_INVALID ? "INVALID" : "TOO_LARGE",
                         err == ORD_ERR_INVALID ? "not hex digits in pairs" : "larger than any channel takes");
            pthread_mutex_unlock(&run->progress.lock);
        } else {
            code = cli_fail(CLI_EXIT_INTERNAL, "%s: %s", run->arguments->path, ord_err_text(err));
        }
    }
    if (code == CLI_EXIT_OK)
        code = flush(run);
    return code;
}

/* xorshift64*: random enough to make transactions distinct and incompressible. */
static uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

static int submit_generated(struct run *run) {
    uint64_t seed = 0;
    size_t size = run->arguments->generate_size;
    uint8_t *transaction = malloc(size + sizeof(uint64_t));
    int code = transaction == NULL ? cli_no_memory() : CLI_EXIT_OK;
    if (code == CLI_EXIT_OK && getrandom(&seed, sizeof(seed), 0) != (ssize_t) sizeof(seed))
        code = cli_fail(CLI_EXIT_INTERNAL, "getrandom: %s", strerror(errno));
    seed |= 1;
    for (uint64_t i = 0; code == CLI_EXIT_OK && i < run->arguments->generate; i++) {
        for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
            uint64_t word = next_random(&seed);
            memcpy(transaction + at, &word, sizeof(word));
        }
        code = add(run, ord_span_of(transaction, size), i + 1);
    }
    if (code == CLI_EXIT_OK)
        code = flush(run);
    free(transaction);
    return code;
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static int drain(struct run *run) {
    while (true) {
        enum ordain_error error = run->arguments->wait ? ordain_drain_final(run->client, SLICE_MS)
                                                       : ordain_drain_accepted(run->client, SLICE_MS);
        draw(run, error == ORDAIN_OK);
        if (error == ORDAIN_OK)
            return CLI_EXIT_OK;
        if (error != ORDAIN_TIMEOUT)
            return cli_exit_of(error);
        if (stalled(run))
            return say_stalled(run);
    }
}

static void print_summary(const struct run *run, double seconds, const struct ordain_statistics *statistics) {
    const struct progress *progress = &run->progress;
    uint64_t done = run->arguments->wait ? progress->final : progress->accepted;
    printf("transactions  %" PRIu64 " (%" PRIu64 " accepted, %" PRIu64 " final, %" PRIu64 " refused)\n",
           run->read + run->malformed, progress->accepted, progress->final, progress->refused + run->malformed);
    printf("envelopes     %" PRIu64 " in %" PRIu64 " requests\n", run->envelopes, statistics->requests);
    printf("bytes         %" PRIu64 "\n", run->bytes);
    printf("seconds       %.3f\n", seconds);
    printf("rate          %.1f tx/s\n", seconds > 0 ? (double) done / seconds : 0.0);
    printf("accepted      ");
    cli_latency_print(stdout, &progress->accepted_latencies);
    if (run->arguments->wait) {
        printf("\nfinal         ");
        cli_latency_print(stdout, &progress->final_latencies);
    }
    putchar('\n');
    if (statistics->busy + statistics->resent + statistics->renumbered > 0)
        printf("again         %" PRIu64 " because of BUSY, %" PRIu64 " sent elsewhere or later, %" PRIu64
               " under a fresh number\n",
               statistics->busy, statistics->resent, statistics->renumbered);
    if (!run->arguments->wait && run->read > 0)
        fprintf(stderr, "Accepted is not final: one replica holds each envelope in memory. Without --no-wait, this\n"
                        "command stays until there is a verified receipt for each.\n");
}

static void print_json(const struct run *run, double seconds, const struct ordain_statistics *statistics) {
    const struct progress *progress = &run->progress;
    uint64_t done = run->arguments->wait ? progress->final : progress->accepted;
    printf("{\"transactions\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"final\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"envelopes\":%" PRIu64 ",\"envelopes_final\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"seconds\":%.6f,\"tx_per_second\":%.1f,",
           run->read + run->malformed, progress->accepted, progress->final, progress->refused + run->malformed,
           run->envelopes, progress->envelopes_final, run->bytes, seconds, seconds > 0 ? (double) done / seconds : 0.0);
    printf("\"accepted_latency\":");
    cli_latency_json(stdout, &progress->accepted_latencies);
    if (run->arguments->wait) {
        printf(",\"final_latency\":");
        cli_latency_json(stdout, &progress->final_latencies);
    }
    printf(",\"requests\":%" PRIu64 ",\"busy\":%" PRIu64 ",\"resent\":%" PRIu64 ",\"renumbered\":%" PRIu64
           ",\"duplicates\":%" PRIu64 ",\"certificates\":%" PRIu64 ",\"replies_bad\":%" PRIu64 "}\n",
           statistics->requests, statistics->busy, statistics->resent, statistics->renumbered, statistics->duplicates,
           statistics->certificates, statistics->replies_bad);
}

static int finish(struct run *run, int code) {
    struct ordain_statistics statistics;
    double seconds = (double) (now_us() - run->started_us) / 1e6;
    ordain_statistics(run->client, &statistics);
    pthread_mutex_lock(&run->progress.lock);
    if (run->arguments->json)
        print_json(run, seconds, &statistics);
    else
        print_summary(run, seconds, &statistics);
    uint64_t done = run->arguments->wait ? run->progress.final : run->progress.accepted;
    uint64_t ended = run->progress.refused + done;
    uint64_t left = run->read > ended ? run->read - ended : 0;
    bool nothing = run->arguments->generate == 0 && run->read + run->malformed == 0;
    if (nothing)
        cli_say("there was nothing to submit in %s",
                strcmp(run->arguments->path, "-") == 0 ? "standard input" : run->arguments->path);
    if (left > 0)
        cli_say("%" PRIu64 " transactions are not %s", left, run->arguments->wait ? "final" : "accepted");
    if (run->progress.receipts_lost > 0)
        cli_say("%" PRIu64 " receipts could not be kept", run->progress.receipts_lost);
    /* A pipe may well bring no lines, but --raw promised one transaction. */
    bool missing = nothing && run->arguments->format == CLI_INPUT_RAW;
    if (code == CLI_EXIT_OK &&
        (run->progress.refused + run->malformed > 0 || left > 0 || run->progress.receipts_lost > 0 || missing))
        code = CLI_EXIT_FAILED;
    pthread_mutex_unlock(&run->progress.lock);
    cli_warn_of_suspects(run->client);
    return code;
}

static int prepare(struct run *run) {
    char why[ORDAIN_TEXT_SIZE] = "";
    ordain_channel(run->client, &run->channel);
    if (run->arguments->per_envelope > run->channel.transactions_max)
        return cli_fail(CLI_EXIT_USAGE,
                        "--per-envelope %" PRIu32 ", but this channel takes %" PRIu32
                        " transactions in an envelope at most (MaxMessageCount)",
                        run->arguments->per_envelope, run->channel.transactions_max);
    enum ordain_error error = ordain_prepare(run->client, run->arguments->timeout_ms, why, sizeof(why));
    if (error != ORDAIN_OK)
        cli_say("%s", why[0] != '\0' ? why : ordain_error_name(error));
    if (error == ORDAIN_UNREACHABLE || error == ORDAIN_TIMEOUT)
        cli_say_answers(run->client);
    return cli_exit_of(error);
}

int cli_submit(int argc, char **argv) {
    struct submit_arguments arguments;
    int code;
    if (!submit_arguments_parse(&arguments, &code, argc, argv))
        return code;
    if (arguments.receipts_folder != NULL && !cli_make_folder(arguments.receipts_folder))
        return CLI_EXIT_USAGE;
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return cli_no_memory();
    run->arguments = &arguments;
    run->draw = !arguments.quiet && isatty(STDERR_FILENO) == 1;
    run->sizes = calloc(arguments.per_envelope, sizeof(*run->sizes));
    run->transactions = calloc(arguments.per_envelope, sizeof(*run->transactions));
    pthread_mutex_init(&run->progress.lock, NULL);
    code = run->sizes == NULL || run->transactions == NULL ? cli_no_memory() : CLI_EXIT_OK;
    if (code == CLI_EXIT_OK && arguments.generate == 0)
        /* Open the input before any replica is asked. */
        code = open_input(run);
    if (code == CLI_EXIT_OK)
        code = cli_connect(&run->client, &arguments.connection, arguments.receipts_folder != NULL);
    if (code == CLI_EXIT_OK)
        code = prepare(run);
    if (code == CLI_EXIT_OK) {
        run->started_us = now_us();
        run->progress.moved_us = run->started_us;
        code = arguments.generate != 0 ? submit_generated(run) : submit_file(run);
        if (code == CLI_EXIT_OK)
            code = drain(run);
        if (code == CLI_EXIT_OK || code == CLI_EXIT_UNREACHABLE)
            code = finish(run, code);
    }
    ordain_close(run->client);
    cli_input_close(&run->input);
    pthread_mutex_destroy(&run->progress.lock);
    free(run->buffer);
    free(run->sizes);
    free(run->transactions);
    free(run);
    return code;
}
