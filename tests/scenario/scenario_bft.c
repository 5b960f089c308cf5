/*
 * Golden traces of PBFT: runs a script of events against a cluster of cores and compares every effect with the script's
 * expectations (scenario_script.h). Usage: scenario_bft [--rewrite] FILE. --rewrite replaces the expectations in FILE
 * by what happens now; read the difference before you keep it.
 *
 * Replica 0 leads view 0. Commands:
 *     cluster [replicas=4] [window=8] [interval=4] [retransmit=100] [timeout=1000] [batch=64] [bodies=1024]
 *                                starts all replicas
 *     time MS                    sets the clock of all replicas
 *     propose N TEXT             replica N proposes a batch
 *     judge N yes|no [seq=S]     answers what replica N asked its node to judge
 *     turn N                     ends N's turn: FLUSH, commit, sends
 *     deliver|drop [from=N] [to=N] [type=NAME] [quiet=yes]
 *                                delivers or drops what is in flight, in order of sending; quiet: prints only effects
 *     settle                     delivers, judges (yes) and ends turns until nothing is in flight; prints only
 *                                decisions
 *     tick N                     wakes replica N at the present time
 *     attest N S                 replica N's node reports a certificate of seq S
 *     sync N S from=M            ends a state transfer of replica N to seq S, from the state of replica M
 *     crash N                    the replica is dead until it starts
 *     start N [asks]             starts the replica; without `asks` the others have already answered that they know
 *                                none of its statements
 *     lose N                     its disk is empty from now on
 *     hand-over N                N's node is about to stop
 *     work N MS|none             since when work waits at replica N
 *     status N | disk N          prints counters, or the durable records
 *     forge TYPE from=N to=N [view=V] [seq=S] [delivered=S] [stable=S] [held=BITS] [TEXT]
 *                                a signed message that no core sent; a view-change has no certificates and stable seq 0
 *     forge status from=N to=N mood=suspects|changing [view=V]
 *                                a STATUS with this mood about its view
 *
 * In a trace, SEQ:DIGEST@VIEW is a prepared certificate of a view, and "null" is the digest of the null batch.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/scenario/scenario_print.h"
#include "tests/scenario/scenario_script.h"
#include "tests/support/bft_support.h"

#define REPLICA_MAX 16
#define FLYING_MAX  512

struct flying {
    ord_node_id from;
    ord_node_id to;
    uint8_t *data;
    size_t size;
};

struct world {
    struct host hosts[REPLICA_MAX];
    struct bft_options options; /* of all replicas */
    uint32_t count;             /* 0: there is no cluster yet */
    uint64_t now_ms;
    struct flying flying[FLYING_MAX];
    size_t flying_count;
    bool decisions_only;
    FILE *out;
};

static struct world world;

static struct host *host_of(const char *text) {
    uint64_t node = scenario_number(text);
    if (node >= world.count)
        scenario_fail("no such replica", text);
    return &world.hosts[node];
}

static void on_effect(struct host *host, const struct ord_effect *effect) {
    if (!world.decisions_only || effect->type == ORD_EFFECT_DELIVER)
        scenario_print_effect(&host->config, effect);
}

static void world_clear(void) {
    for (size_t i = 0; i < world.flying_count; i++)
        free(world.flying[i].data);
    world.flying_count = 0;
    for (uint32_t node = 0; node < world.count; node++)
        host_deinit(&world.hosts[node]);
    world.count = 0;
}

static void run_cluster(const struct scenario_command *command) {
    world_clear();
    struct ord_core_config config = test_config(0);
    config.replica_count = (uint32_t) scenario_number_option(command, "replicas", 4);
    config.window = (uint32_t) scenario_number_option(command, "window", 8);
    config.checkpoint_interval = (uint32_t) scenario_number_option(command, "interval", 4);
    config.retransmit_ms = (uint32_t) scenario_number_option(command, "retransmit", 100);
    world.options = test_options;
    world.options.request_timeout_ms = (uint32_t) scenario_number_option(command, "timeout", 1000);
    config.options = &world.options;
    config.batch_bytes_max = (uint32_t) scenario_number_option(command, "batch", 64);
    config.body_bytes_max = scenario_number_option(command, "bodies", 1024);
    if (config.replica_count > REPLICA_MAX || bft_pbft.memory_size(&config) == 0)
        scenario_fail("no such cluster", command->plain[0]);
    world.count = config.replica_count;
    for (uint32_t node = 0; node < world.count; node++) {
        config.self = node;
        host_init(&world.hosts[node], &config);
        ORD_ASSERT(host_start(&world.hosts[node], world.now_ms) == ORD_OK);
        host_flush(&world.hosts[node], world.now_ms);
        host_commit(&world.hosts[node]);
        host_sends_clear(&world.hosts[node]); /* the very first STATUS says nothing */
        world.hosts[node].on_effect = on_effect;
    }
}

static void run_turn(struct host *host) {
    host_flush(host, world.now_ms);
    host_commit(host);
    for (size_t i = 0; i < host->send_count; i++)
        for (ord_node_id to = 0; to < world.count; to++) {
            const struct host_message *message = &host->sends[i];
            if ((message->to & ord_replica_bit(to)) == 0)
                continue;
            if (world.flying_count == FLYING_MAX)
                scenario_fail("too many messages in flight", "use drop");
            uint8_t *data = malloc(message->size);
            ORD_ASSERT(data != NULL);
            memcpy(data, message->data, message->size);
            world.flying[world.flying_count++] =
                (struct flying) {.from = host->config.self, .to = to, .data = data, .size = message->size};
        }
    host_sends_clear(host);
}

static void receive(struct host *host, ord_node_id from, struct ord_span bytes) {
    enum ord_err err = host_receive(host, from, bytes, world.now_ms);
    if (err != ORD_OK)
        fprintf(world.out, "%u: not taken from %u: %s\n", host->config.self, from, ord_err_name(err));
}

static bool selected(const struct scenario_command *command, const struct flying *message) {
    const char *type = scenario_option(command, "type");
    return scenario_number_option(command, "from", message->from) == message->from &&
           scenario_number_option(command, "to", message->to) == message->to &&
           (type == NULL || strcasecmp(type, scenario_type_name(message->data[0])) == 0);
}

/*
 * Delivers or drops the selected messages that are in flight now. Messages that replicas send in response wait for
 * their turns.
 */
static size_t run_deliver(const struct scenario_command *command, bool drop) {
    size_t done = 0;
    size_t kept = 0;
    size_t count = world.flying_count;
    for (size_t i = 0; i < count; i++) {
        struct flying message = world.flying[i];
        if (!selected(command, &message)) {
            world.flying[kept++] = message;
            continue;
        }
        done++;
        struct host *host = &world.hosts[message.to];
        if (!world.decisions_only && scenario_option(command, "quiet") == NULL) {
            fprintf(world.out, "%u %s %u ", message.from, drop || host->core == NULL ? "-x" : "->", message.to);
            scenario_print_message(&host->config, ord_span_of(message.data, message.size));
            fputc('\n', world.out);
        }
        if (!drop && host->core != NULL)
            receive(host, message.from, ord_span_of(message.data, message.size));
        free(message.data);
    }
    world.flying_count = kept;
    return done;
}

static size_t run_judge(struct host *host, bool admissible, uint64_t seq) {
    size_t done = 0;
    for (size_t i = 0; i < host->judge_count;)
        if (seq == 0 || host->judges[i].seq == seq) {
            host_judge(host, i, admissible, world.now_ms);
            done++;
        } else {
            i++;
        }
    return done;
}

static void run_settle(void) {
    const struct scenario_command all = {.plain_count = 0};
    world.decisions_only = true;
    size_t done = 1;
    while (done > 0) {
        done = run_deliver(&all, false);
        for (uint32_t node = 0; node < world.count; node++)
            if (world.hosts[node].core != NULL) {
                done += run_judge(&world.hosts[node], true, 0);
                run_turn(&world.hosts[node]);
            }
        done += world.flying_count;
    }
    world.decisions_only = false;
}

static void run_forge(const struct scenario_command *command) {
    struct host *host = host_of(scenario_option(command, "to") != NULL ? scenario_option(command, "to") : "none");
    const struct ord_core_config *config = &host->config;
    const char *type = scenario_plain(command, 1);
    const char *text = command->plain_count > 2 ? command->plain[2] : "";
    ord_node_id from = (ord_node_id) scenario_number_option(command, "from", 0);
    uint64_t view = scenario_number_option(command, "view", 0);
    uint64_t seq = scenario_number_option(command, "seq", 0);
    if (strcmp(type, "pre-prepare") == 0) {
        receive(host, from, make_pre_prepare(config, from, view, seq, text));
    } else if (strcmp(type, "body") == 0) {
        receive(host, from, make_body(config, from, view, seq, text));
    } else if (strcmp(type, "view-change") == 0) {
        receive(host, from, make_view_change(config, from, view, 0, NULL, 0));
    } else if (strcmp(type, "status") == 0) {
        const char *bits = scenario_option(command, "held");
        const char *mood = scenario_option(command, "mood");
        uint8_t held = 0;
        for (size_t i = 0; bits != NULL && bits[i] != '\0' && i < 8; i++)
            held |= (uint8_t) ((bits[i] == '1') << i);
        struct ord_span bytes = make_status(config, from, scenario_number_option(command, "delivered", 0),
                                            scenario_number_option(command, "stable", 0), held);
        if (mood != NULL)
            bytes =
                make_mood_status(config, from, view, strcmp(mood, "suspects") == 0 ? BFT_SUSPECTS : BFT_CHANGING, 0);
        receive(host, from, bytes);
    } else {
        receive(host, from,
                make_vote(config, strcmp(type, "prepare") == 0 ? BFT_PREPARE : BFT_COMMIT, from, seq, text));
    }
}

static void run_status(struct host *host) {
    struct ord_status status;
    bft_pbft.status(host->core, &status);
    fprintf(world.out,
            "%u: view=%" PRIu64 "%s%s delivered=%" PRIu64 " stable=%" PRIu64 " proposed=%" PRIu64
            " in flight=%u bodies=%" PRIu64 " can propose=%s dropped=%" PRIu64 " refused=%" PRIu64
            " sent again=%" PRIu64 "\n",
            host->config.self, status.view, status.changing ? " changing" : "",
            status.silent   ? " silent"
            : status.asking ? " asking"
                            : "",
            status.delivered_seq, status.stable_seq, status.proposed_seq, status.in_flight, status.body_bytes,
            status.can_propose ? "yes" : "no", status.messages_dropped, status.messages_refused,
            status.retransmissions);
}

static void run_disk(const struct host *host) {
    fprintf(world.out, "%u: applied=%" PRIu64, host->config.self, host->durable_applied);
    for (size_t i = 0; i < host->disk.count; i++)
        fprintf(world.out, " %s:%" PRIu64, scenario_table_name(host->disk.items[i].table), host->disk.items[i].key);
    fputc('\n', world.out);
}

/* Runs a command about one replica. */
static void run_of_replica(const struct scenario_command *command) {
    const char *name = scenario_plain(command, 0);
    struct host *host = host_of(scenario_plain(command, 1));
    if (strcmp(name, "start") == 0) {
        host->asks = command->plain_count > 2;
        if (host_start(host, world.now_ms) != ORD_OK)
            scenario_fail("does not start", scenario_plain(command, 1));
        return;
    }
    if (strcmp(name, "disk") == 0) {
        run_disk(host);
        return;
    }
    if (strcmp(name, "lose") == 0) {
        host_lose(host);
        return;
    }
    if (host->core == NULL)
        scenario_fail("is down", scenario_plain(command, 1));
    if (strcmp(name, "propose") == 0) {
        host_propose(host, ord_span_of(scenario_plain(command, 2), strlen(scenario_plain(command, 2))), world.now_ms);
    } else if (strcmp(name, "judge") == 0) {
        if (run_judge(host, strcmp(scenario_plain(command, 2), "yes") == 0,
                      scenario_number_option(command, "seq", 0)) == 0)
            fprintf(world.out, "%u: nothing to judge\n", host->config.self);
    } else if (strcmp(name, "turn") == 0) {
        run_turn(host);
    } else if (strcmp(name, "tick") == 0) {
        struct ord_event event = {.type = ORD_EVENT_TICK, .now_ms = world.now_ms};
        ORD_ASSERT(host_step(host, &event) == ORD_OK);
    } else if (strcmp(name, "work") == 0) {
        const char *since = scenario_plain(command, 2);
        host_work(host, strcmp(since, "none") == 0 ? UINT64_MAX : scenario_number(since), world.now_ms);
    } else if (strcmp(name, "hand-over") == 0) {
        struct ord_event event = {.type = ORD_EVENT_HAND_OVER, .now_ms = world.now_ms};
        ORD_ASSERT(host_step(host, &event) == ORD_OK);
    } else if (strcmp(name, "attest") == 0) {
        host_attested(host, scenario_number(scenario_plain(command, 2)), world.now_ms);
    } else if (strcmp(name, "sync") == 0) {
        const char *from = scenario_option(command, "from");
        host_sync_from(host, host_of(from != NULL ? from : "none"), scenario_number(scenario_plain(command, 2)),
                       world.now_ms);
    } else if (strcmp(name, "crash") == 0) {
        host_crash(host);
    } else if (strcmp(name, "status") == 0) {
        run_status(host);
    } else {
        scenario_fail("no such command", name);
    }
}

static void run_command(const struct scenario_command *command) {
    const char *name = command->plain[0];
    if (strcmp(name, "cluster") == 0)
        run_cluster(command);
    else if (world.count == 0)
        scenario_fail("no cluster yet", name);
    else if (strcmp(name, "time") == 0)
        world.now_ms = scenario_number(scenario_plain(command, 1));
    else if (strcmp(name, "deliver") == 0 || strcmp(name, "drop") == 0)
        (void) run_deliver(command, name[1] == 'r');
    else if (strcmp(name, "settle") == 0)
        run_settle();
    else if (strcmp(name, "forge") == 0)
        run_forge(command);
    else
        run_of_replica(command);
}

static void begin(FILE *out) {
    world.now_ms = 1000;
    world.out = out;
    scenario_print_to(out);
}

int main(int argc, char **argv) {
    const struct scenario_player player = {
        .name = "scenario_bft", .begin = begin, .run = run_command, .end = world_clear};
    return scenario_main(argc, argv, &player);
}
