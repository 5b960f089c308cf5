/*
 * Golden traces of Raft: runs a script of events against a cluster of cores and compares what happens with the script's
 * expectations (scenario_script.h). Usage: scenario_raft [--rewrite] FILE. --rewrite replaces the expectations in FILE
 * by what happens now; read the difference before you keep it. raft_net checks the properties of Raft after each step.
 *
 * Each event is a turn. A disk is quick: a turn is durable before the next command. Nobody wakes but by `tick`: so the
 * script decides who campaigns. The election timeout is 300 or 301 ms, and the heartbeats' 60 ms. Commands:
 *     cluster N [in-flight=4] [checks=no]
 *                          N replicas, all down, with empty disks; checks=no where more disks fail than Raft bears
 *     log N TERMS term=T [delivered=S]
 *                          what is on the disk of N: entries of these terms, as "1,1,2" for the batches "a1", "b1" and
 *                          "c2"; its term; how far it delivered
 *     begin [leader=N]     all that are down start, and answer each other's ASK; N is elected; prints nothing
 *     wait MS              time passes
 *     tick N               wakes replica N at the present time
 *     propose N WORD       replica N gets a batch, a word of up to 8 letters
 *     deliver|drop [from=N] [to=N] [type=NAME] [count=N] [rounds=N] [quiet=yes]
 *                          delivers or drops what is in flight, in order of sending; what is sent in response waits for
 *                          the next round; quiet: prints nothing
 *     settle [quiet=yes]   delivers until nothing is in flight; prints decisions, syncs and changes of role only
 *     cut [from=N] [to=N]  what is sent this way from now on is lost
 *     heal                 nothing is cut any more
 *     slow N | quick N     the disk of N stands still, or writes all that waits
 *     attest N S           N's node has a certificate of seq S, and wants the log to be cut there
 *     sync N               the state transfer that N asked for ends
 *     hand-over N          N's node is about to stop
 *     crash N | start N    what is not durable is lost
 *     lose N               while N is down: its disk is empty from now on
 *     copy N | restore N   an image of N's disk; while N is down, the disk goes back to it
 *     show [N]             one replica, or all: role, term, the log as its terms, and what of it is delivered
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/assert.h"
#include "tests/scenario/scenario_raft_print.h"
#include "tests/scenario/scenario_script.h"
#include "tests/support/raft_net.h"

#define WORD_SIZE 8 /* of a batch */

enum voice { VOICE_ALL, VOICE_DECISIONS, VOICE_NOTHING };

struct world {
    struct raft_net net; /* count 0: there is no cluster yet */
    struct raft_options options;
    struct raft_disk images[RAFT_NET_MAX];
    const char *roles[RAFT_NET_MAX]; /* as they were printed last */
    enum voice voice;
    FILE *out;
};

static struct world world;

static ord_node_id node_of(const char *text) {
    uint64_t node = scenario_number(text);
    if (node >= world.net.count)
        scenario_fail("no such replica", text);
    return (ord_node_id) node;
}

static const char *role_of(ord_node_id node) {
    static const char *const names[] = {"follower", "pre-candidate", "candidate", "elected", "leader"};
    const struct ord_core *core = world.net.nodes[node].core;
    if (core == NULL)
        return "down";
    return core->halted            ? "halted"
           : core->hard.silent     ? "silent"
           : core->recovery.asking ? "asking"
                                   : names[core->role];
}

static void on_effect(ord_node_id node, const struct ord_effect *effect) {
    bool decision = effect->type == ORD_EFFECT_DELIVER || effect->type == ORD_EFFECT_SYNC;
    if (world.voice == VOICE_ALL || (world.voice == VOICE_DECISIONS && decision))
        scenario_raft_print_effect(&world.net.nodes[node].config, effect);
}

static void note_role(ord_node_id node) {
    const char *role = role_of(node);
    if (role == world.roles[node])
        return;
    world.roles[node] = role;
    if (world.voice != VOICE_NOTHING && world.net.nodes[node].core != NULL)
        fprintf(world.out, "%u: is %s now, term %" PRIu64 "\n", node, role, world.net.nodes[node].core->hard.term);
}

/* After an event at `node`: a quick disk writes what waits. */
static void after_event(ord_node_id node) {
    struct raft_node *at = &world.net.nodes[node];
    note_role(node);
    while (!at->frozen_disk && at->staged.count > 0) {
        raft_net_persist(&world.net, node, at->turn - 1);
        note_role(node);
    }
}

static void play(ord_node_id node, struct ord_event *event) {
    ORD_ASSERT(raft_net_event(&world.net, node, event) == ORD_OK);
    after_event(node);
}

static void tick(ord_node_id node) {
    struct ord_event event = {.type = ORD_EVENT_TICK};
    play(node, &event);
}

static void letters_clear(void) {
    for (size_t i = 0; i < world.net.letter_count; i++)
        free(world.net.letters[i].data);
    world.net.letter_count = 0;
}

static void world_clear(void) {
    if (world.net.count == 0)
        return;
    for (ord_node_id node = 0; node < world.net.count; node++)
        raft_net_free_disk(&world.images[node]);
    raft_net_close(&world.net);
    world.net.count = 0;
}

static void run_cluster(const struct scenario_command *command) {
    world_clear();
    world.options = raft_net_options();
    world.options.election_ms_max = world.options.election_ms_min + 1;
    world.options.in_flight_max = (uint32_t) scenario_number_option(command, "in-flight", 4);
    uint64_t count = scenario_number(scenario_plain(command, 1));
    if (count < 1 || count > RAFT_NET_MAX)
        scenario_fail("no such cluster", scenario_plain(command, 1));
    raft_net_open(&world.net, (uint32_t) count, &world.options, 1);
    world.net.on_effect = on_effect;
    world.net.unchecked = scenario_option(command, "checks") != NULL;
    for (ord_node_id node = 0; node < world.net.count; node++) {
        raft_net_crash(&world.net, node);
        world.roles[node] = role_of(node);
    }
    letters_clear();
}

/* A batch of 8 bytes, so that raft_net can tell batches apart. */
static void fill_word(uint8_t batch[WORD_SIZE], const char *word) {
    if (strlen(word) > WORD_SIZE)
        scenario_fail("too long a word", word);
    memset(batch, ' ', WORD_SIZE);
    memcpy(batch, word, strlen(word));
}

/* An entry of a history that the script begins with. What is delivered of it is committed. */
static void put_entry(ord_node_id node, uint64_t seq, uint64_t term, bool delivered) {
    struct raft_net *net = &world.net;
    uint8_t record[RAFT_ENTRY_HEAD_SIZE + WORD_SIZE];
    char word[32];
    (void) snprintf(word, sizeof(word), "%c%" PRIu64, (char) ('a' + (seq - 1) % 26), term);
    ord_store_u64(record, net->nodes[node].config.epoch);
    ord_store_u64(record + 8, term);
    fill_word(record + RAFT_ENTRY_HEAD_SIZE, word);
    raft_net_put(net, node, RAFT_TABLE_LOG, seq, ord_span_of(record, sizeof(record)));
    if (!delivered || seq <= net->committed)
        return;
    net->committed = seq;
    net->terms[seq] = term;
    net->batches[seq] = ord_load_u64(record + RAFT_ENTRY_HEAD_SIZE);
}

static void run_log(const struct scenario_command *command) {
    ord_node_id node = node_of(scenario_plain(command, 1));
    if (world.net.nodes[node].core != NULL)
        scenario_fail("is up", scenario_plain(command, 1));
    uint64_t delivered_seq = scenario_number_option(command, "delivered", 0);
    uint64_t seq = 0;
    char *rest = NULL;
    for (char *term = strtok_r(command->plain[2], ",", &rest); term != NULL; term = strtok_r(NULL, ",", &rest)) {
        seq++;
        put_entry(node, seq, scenario_number(term), seq <= delivered_seq);
    }
    uint8_t bytes[RAFT_HARD_SIZE];
    struct ord_writer writer = ord_writer_of(bytes, sizeof(bytes));
    const struct raft_hard hard = {.term = scenario_number_option(command, "term", 0), .vote = ORD_NO_NODE};
    raft_hard_encode(&writer, world.net.nodes[node].config.epoch, &hard);
    raft_net_put(&world.net, node, RAFT_TABLE_HARD, 1, ord_writer_span(&writer));
    world.net.nodes[node].disk.applied_seq = delivered_seq;
}

static bool selected(const struct scenario_command *command, const struct raft_letter *letter) {
    const char *type = scenario_option(command, "type");
    return scenario_number_option(command, "from", letter->from) == letter->from &&
           scenario_number_option(command, "to", letter->to) == letter->to &&
           (type == NULL || strcasecmp(type, scenario_raft_type_name(letter->data[0])) == 0);
}

/* Delivers or drops the selected messages that are in flight now, and not those that are sent in response. */
static size_t run_deliver(const struct scenario_command *command, bool drop) {
    struct raft_net *net = &world.net;
    bool quiet = scenario_option(command, "quiet") != NULL;
    uint64_t most = scenario_number_option(command, "count", UINT64_MAX);
    size_t done = 0;
    size_t left = net->letter_count;
    for (size_t i = 0; left > 0 && done < most; left--) {
        struct raft_letter letter = net->letters[i];
        if (!selected(command, &letter)) {
            i++;
            continue;
        }
        done++;
        net->letter_count--;
        memmove(net->letters + i, net->letters + i + 1, (net->letter_count - i) * sizeof(*net->letters));
        bool lost = drop || net->nodes[letter.to].core == NULL;
        if (world.voice == VOICE_ALL && !quiet) {
            fprintf(world.out, "%u %s %u ", letter.from, lost ? "-x" : "->", letter.to);
            scenario_raft_print_message(&net->nodes[letter.to].config, ord_span_of(letter.data, letter.size));
            fputc('\n', world.out);
        }
        enum voice voice = world.voice;
        world.voice = quiet ? VOICE_NOTHING : voice;
        if (!lost) {
            raft_net_receive(net, &letter);
            after_event(letter.to);
        }
        world.voice = voice;
        free(letter.data);
    }
    return done;
}

static void run_rounds(const struct scenario_command *command, bool drop) {
    for (uint64_t left = scenario_number_option(command, "rounds", 1); left > 0; left--)
        (void) run_deliver(command, drop);
}

static void settle(enum voice voice) {
    const struct scenario_command all = {.plain_count = 0};
    world.voice = voice;
    while (run_deliver(&all, false) > 0)
        ;
    world.voice = VOICE_ALL;
}

static void start(ord_node_id node) {
    if (world.net.nodes[node].core != NULL)
        return;
    raft_net_start(&world.net, node);
    after_event(node);
}

static void run_begin(const struct scenario_command *command) {
    world.voice = VOICE_NOTHING;
    for (ord_node_id node = 0; node < world.net.count; node++)
        start(node);
    settle(VOICE_NOTHING);
    const char *leader = scenario_option(command, "leader");
    if (leader == NULL)
        return;
    ord_node_id node = node_of(leader);
    world.net.now_ms += world.options.election_ms_max;
    world.voice = VOICE_NOTHING;
    tick(node);
    settle(VOICE_NOTHING);
    if (!raft_net_status(&world.net, node).leading)
        scenario_fail("is not elected", leader);
}

static void run_cut(const struct scenario_command *command, bool cut) {
    for (ord_node_id from = 0; from < world.net.count; from++)
        for (ord_node_id to = 0; to < world.net.count; to++)
            if (scenario_number_option(command, "from", from) == from &&
                scenario_number_option(command, "to", to) == to)
                world.net.cut[from][to] = cut;
}

static void show(ord_node_id node) {
    const struct ord_core *core = world.net.nodes[node].core;
    fprintf(world.out, "%u: %s", node, role_of(node));
    if (core != NULL) {
        fprintf(world.out, ", term %" PRIu64 ", log", core->hard.term);
        if (core->log.base_seq > 0)
            fprintf(world.out, " from %" PRIu64 "@%" PRIu64 " on", core->log.base_seq, core->log.base_term);
        for (uint64_t seq = core->log.base_seq + 1; seq <= core->log.last_seq; seq++)
            fprintf(world.out, " %" PRIu64, raft_log_term(&core->log, seq));
        fprintf(world.out, ", delivered %" PRIu64, core->commit_seq);
        if (core->log.durable_seq < core->log.last_seq)
            fprintf(world.out, ", durable %" PRIu64, core->log.durable_seq);
    }
    fputc('\n', world.out);
}

static void run_show(const struct scenario_command *command) {
    for (ord_node_id node = 0; node < world.net.count; node++)
        if (command->plain_count < 2 || node_of(command->plain[1]) == node)
            show(node);
}

static void restore(ord_node_id node) {
    raft_net_lose_disk(&world.net, node);
    raft_net_copy_disk(&world.net.nodes[node].disk, &world.images[node]);
}

static void attest(ord_node_id node, uint64_t seq) {
    uint8_t certificate[RAFT_NET_POINT];
    ord_store_u64(certificate, seq);
    struct ord_event event = {
        .type = ORD_EVENT_ATTESTED,
        .attested = {.seq = seq, .certificate = ord_span_of(certificate, sizeof(certificate)), .cut = true}};
    play(node, &event);
}

static void propose(ord_node_id node, const char *word) {
    uint8_t batch[WORD_SIZE];
    fill_word(batch, word);
    struct ord_event event = {.type = ORD_EVENT_PROPOSE, .propose = {.batch = ord_span_of(batch, sizeof(batch))}};
    play(node, &event);
}

/* Commands about a replica that may be down. False: it is none of these. */
static bool run_of_disk(const char *name, ord_node_id node) {
    struct raft_node *at = &world.net.nodes[node];
    if (strcmp(name, "start") == 0) {
        start(node);
    } else if (strcmp(name, "lose") == 0) {
        raft_net_lose_disk(&world.net, node);
    } else if (strcmp(name, "copy") == 0) {
        raft_net_free_disk(&world.images[node]);
        raft_net_copy_disk(&world.images[node], &at->disk);
    } else if (strcmp(name, "restore") == 0) {
        restore(node);
    } else if (strcmp(name, "slow") == 0 || strcmp(name, "quick") == 0) {
        at->frozen_disk = name[0] == 's';
        if (at->core != NULL)
            after_event(node);
    } else {
        return false;
    }
    return true;
}

/* Runs a command about one replica. */
static void run_of_replica(const struct scenario_command *command) {
    const char *name = command->plain[0];
    ord_node_id node = node_of(scenario_plain(command, 1));
    struct ord_event hand_over = {.type = ORD_EVENT_HAND_OVER};
    if (run_of_disk(name, node))
        return;
    if (world.net.nodes[node].core == NULL)
        scenario_fail("is down", scenario_plain(command, 1));
    if (strcmp(name, "propose") == 0) {
        propose(node, scenario_plain(command, 2));
    } else if (strcmp(name, "tick") == 0) {
        tick(node);
    } else if (strcmp(name, "attest") == 0) {
        attest(node, scenario_number(scenario_plain(command, 2)));
    } else if (strcmp(name, "sync") == 0) {
        raft_net_sync(&world.net, node);
        after_event(node);
    } else if (strcmp(name, "hand-over") == 0) {
        play(node, &hand_over);
    } else if (strcmp(name, "crash") == 0) {
        raft_net_crash(&world.net, node);
        note_role(node);
    } else {
        scenario_fail("no such command", name);
    }
}

static void run_command(const struct scenario_command *command) {
    const char *name = command->plain[0];
    world.voice = VOICE_ALL;
    if (strcmp(name, "cluster") == 0)
        run_cluster(command);
    else if (world.net.count == 0)
        scenario_fail("no cluster yet", name);
    else if (strcmp(name, "log") == 0)
        run_log(command);
    else if (strcmp(name, "begin") == 0)
        run_begin(command);
    else if (strcmp(name, "wait") == 0)
        world.net.now_ms += scenario_number(scenario_plain(command, 1));
    else if (strcmp(name, "deliver") == 0 || strcmp(name, "drop") == 0)
        run_rounds(command, name[1] == 'r');
    else if (strcmp(name, "settle") == 0)
        settle(scenario_option(command, "quiet") != NULL ? VOICE_NOTHING : VOICE_DECISIONS);
    else if (strcmp(name, "cut") == 0 || strcmp(name, "heal") == 0)
        run_cut(command, name[0] == 'c');
    else if (strcmp(name, "show") == 0)
        run_show(command);
    else
        run_of_replica(command);
}

static void begin(FILE *out) {
    world.out = out;
    scenario_raft_print_to(out);
}

int main(int argc, char **argv) {
    const struct scenario_player player = {
        .name = "scenario_raft", .begin = begin, .run = run_command, .end = world_clear};
    return scenario_main(argc, argv, &player);
}
