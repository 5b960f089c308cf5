/*
 * `ordain status`: what every replica of the channel says of itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client_common.h"
#include "cli/number.h"
#include "cli/options.h"
#include "cli/report.h"

#define CERTIFICATE_WARNING_S (30 * 86400)

struct status_arguments {
    struct cli_connection connection;
    bool json;
    bool counters;
    uint32_t timeout_ms;
};

static const char usage[] =
    "Usage: ordain status --config FILE [OPTIONS]\n"
    "\n"
    "Asks every replica of the channel how it is, and prints a table. What a replica says of itself is not\n"
    "proved; compare the replicas, or use `ordain deliver`, which proves what it prints.\n"
    "\n";

static const char notes[] =
    "\n"
    "Columns: VIEW counts the primaries so far (raft: TERM and LEADER); HEIGHT is the newest block, CERTIFIED the "
    "newest\n"
    "with enough signatures to prove it; SEQ the batches executed, STABLE those that the log no longer needs;\n"
    "FLIGHT the batches under way; POOL the envelopes that wait; LINKS the other replicas that it is connected\n"
    "to; STATE says \"ok\", or what is the matter. Below the table: which replicas signed statements that\n"
    "contradict each other, and which replicas keep the evidence (`ordain evidence` proves it). In a raft channel\n"
    "also how far the leader knows each follower's log to equal its own (MATCH).\n"
    "\n"
    "Examples:\n"
    "  ordain status --config try/client/client.cfg\n"
    "  ordain status --config try/client/client.cfg --json | python3 -m json.tool\n"
    "\n"
    "Exit codes: 0 at least one replica answers; 2 wrong arguments or configuration; 3 none answers.\n";

static bool parse_arguments(struct status_arguments *out, int *exit_code, int argc, char **argv) {
    *out = (struct status_arguments) {.connection.replica = ORDAIN_ANY_REPLICA, .timeout_ms = 2000};
    const struct cli_option list[] = {
        {"config", "FILE", "the client.cfg that `ordain init` made", .text = &out->connection.config_file},
        {"channel", "NAME", "must be the channel of the genesis block", .text = &out->connection.channel},
        {"replica", "N", "only replica N (from 0)", .replica = &out->connection.replica},
        {"timeout", "SECONDS", "how long to wait for an answer (default 2)", .milliseconds = &out->timeout_ms},
        {"counters", NULL, "every counter of every replica, too", .flag = &out->counters},
        {"json", NULL, "one JSON object with everything", .flag = &out->json},
    };
    const struct cli_options options = {usage, list, sizeof(list) / sizeof(list[0]), .notes = notes};
    return cli_options_parse(exit_code, &options, argc, argv);
}

static const char *state_of(const struct ordain_status *status) {
    if (status->why[0] != '\0')
        return status->why;
    if (status->halted)
        return "halted: its log contradicts the leader's";
    if (status->asking)
        return "asks what it said before";
    if (status->silent)
        return "silent: its disk is new, or older than what it said";
    if (status->syncing)
        return "catching up";
    return status->intake_open ? "ok" : "takes nothing in (disk)";
}

static void print_table(struct ordain *client, const struct ordain_status *list, uint32_t count) {
    struct ordain_channel channel;
    ordain_channel(client, &channel);
    char trust[CLI_TRUST_SIZE];
    printf("channel %s, %" PRIu32 " replicas, network %s\n", channel.name, channel.replica_count,
           CLI_HEX(channel.genesis_hash, 8));
    printf("%s\n", cli_trust(trust, channel.consensus, channel.replica_count, channel.liars_max));
    bool raft = strcmp(channel.consensus, "raft") == 0;
    printf("\n%-8s%-22s %-10s%6s%9s%9s%10s%9s%9s%7s%8s%6s  %s\n", "REPLICA", "ADDRESS", "CONSENSUS",
           raft ? "TERM" : "VIEW", raft ? "LEADER" : "PRIMARY", "HEIGHT", "CERTIFIED", "SEQ", "STABLE", "FLIGHT",
           "POOL", "LINKS", "STATE");
    for (uint32_t i = 0; i < count; i++) {
        const struct ordain_status *status = &list[i];
        char primary[24] = "-";
        printf("%-8" PRIu32 "%-22s ", status->replica, ordain_replica_address(client, status->replica));
        if (!status->reachable) {
            printf("%-10s%6s%9s%9s%10s%9s%9s%7s%8s%6s  %s\n", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-",
                   status->why[0] != '\0' ? status->why : "unreachable");
            continue;
        }
        if (status->leader >= 0)
            snprintf(primary, sizeof(primary), "%" PRId64, status->leader);
        printf("%-10s%6" PRIu64 "%9s%9" PRIu64 "%10" PRIu64 "%9" PRIu64 "%9" PRIu64 "%7" PRIu32 "%8" PRIu64 "%6" PRIu32
               "  %s\n",
               status->consensus, status->view, primary, status->height, status->certified_height, status->seq,
               status->stable_seq, status->in_flight, status->pool_envelopes, status->links_up, state_of(status));
    }
}

/* Of several that think that they lead, the one with the highest term does. */
static void print_followers(const struct ordain_status *list, uint32_t count) {
    const struct ordain_status *leader = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (list[i].reachable && list[i].followers != 0 && (leader == NULL || list[i].view > leader->view))
            leader = &list[i];
    if (leader == NULL)
        return;
    printf("replica %" PRIu32 " leads term %" PRIu64 "; MATCH:", leader->replica, leader->view);
    for (uint32_t i = 0, shown = 0; i < ORDAIN_REPLICA_MAX; i++)
        if ((leader->followers >> i & 1u) != 0)
            printf("%s replica %" PRIu32 " up to %" PRIu64 "%s", shown++ == 0 ? "" : ",", i, leader->match_seq[i],
                   (leader->silent_followers >> i & 1u) != 0 ? " (silent)" : "");
    printf("\n");
}

/*
 * Prints one line with the replicas that claim to hold evidence against `culprit`. The claims are not proved; `ordain
 * evidence` fetches the proofs.
 */
static bool print_evidence_against(const struct ordain_status *list, uint32_t count, uint32_t culprit) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = list[i].evidence[culprit] > most ? list[i].evidence[culprit] : most;
    if (most == 0)
        return false;
    printf("evidence: replica %" PRIu32 " contradicted itself %" PRIu32 " time%s (seen by", culprit, most,
           most == 1 ? "" : "s");
    for (uint32_t i = 0, shown = 0; i < count; i++)
        if (list[i].evidence[culprit] > 0)
            printf("%s%" PRIu32, shown++ == 0 ? " " : ", ", list[i].replica);
    printf(")\n");
    return true;
}

/* Prints a line for each replica with a certificate that ends within 30 days by this machine's clock. */
static void print_certificates(const struct ordain_status *list, uint32_t count) {
    int64_t now_s = (int64_t) time(NULL);
    for (uint32_t i = 0; i < count; i++) {
        int64_t left_s = list[i].certificate_ends_s - now_s;
        if (!list[i].reachable || list[i].certificate[0] == '\0' || left_s > CERTIFICATE_WARNING_S)
            continue;
        if (left_s <= 0)
            printf("certificate: replica %" PRIu32 ": %s has ended\n", list[i].replica, list[i].certificate);
        else
            printf("certificate: replica %" PRIu32 ": %s ends in %.1f days\n", list[i].replica, list[i].certificate,
                   (double) left_s / 86400);
    }
}

static void print_evidence(const struct ordain_status *list, uint32_t count) {
    bool any = false;
    for (uint32_t culprit = 0; culprit < ORDAIN_REPLICA_MAX; culprit++)
        any = print_evidence_against(list, count, culprit) || any;
    if (any)
        printf("`ordain evidence export` fetches the proofs\n");
}

static void print_counters(const struct ordain_status *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].counter_count == 0)
            continue;
        printf("\nreplica %" PRIu32 "\n", list[i].replica);
        for (uint32_t c = 0; c < list[i].counter_count; c++)
            printf("  %-40s %" PRIu64 "\n", list[i].counters[c].name, list[i].counters[c].value);
    }
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void print_json_replica(struct ordain *client, const struct ordain_status *status) {
    printf("{\"replica\":%" PRIu32 ",\"address\":", status->replica);
    cli_json_text(stdout, ordain_replica_address(client, status->replica));
    printf(",\"reachable\":%s,\"state\":", truth(status->reachable));
    cli_json_text(stdout, status->reachable || status->why[0] != '\0' ? state_of(status) : "unreachable");
    if (!status->reachable) {
        putchar('}');
        return;
    }
    printf(",\"consensus\":");
    cli_json_text(stdout, status->consensus);
    printf(",\"version\":");
    cli_json_text(stdout, status->version);
    printf(",\"epoch\":%" PRIu64 ",\"view\":%" PRIu64, status->epoch, status->view);
    if (strcmp(status->consensus, "raft") == 0)
        printf(",\"term\":%" PRIu64, status->view);
    if (status->leader >= 0)
        printf(",\"primary\":%" PRId64, status->leader);
    else
        printf(",\"primary\":null");
    printf(",\"height\":%" PRIu64 ",\"certified_height\":%" PRIu64 ",\"head\":\"%s\",\"state_digest\":\"%s\"",
           status->height, status->certified_height, CLI_HASH(status->head_hash), CLI_HASH(status->state_digest));
    printf(",\"seq\":%" PRIu64 ",\"stable_seq\":%" PRIu64 ",\"in_flight\":%" PRIu32 ",\"pool_envelopes\":%" PRIu64
           ",\"pool_bytes\":%" PRIu64 ",\"uptime_ms\":%" PRIu64,
           status->seq, status->stable_seq, status->in_flight, status->pool_envelopes, status->pool_bytes,
           status->uptime_ms);
    printf(",\"syncing\":%s,\"intake_open\":%s,\"asking\":%s,\"silent\":%s,\"silent_until_seq\":%" PRIu64
           ",\"doubt_until_seq\":%" PRIu64 ",\"links_up\":%" PRIu32 ",\"peers_up\":[",
           truth(status->syncing), truth(status->intake_open), truth(status->asking), truth(status->silent),
           status->silent_until_seq, status->doubt_until_seq, status->links_up);
    for (uint32_t i = 0, shown = 0; i < ORDAIN_REPLICA_MAX; i++)
        if ((status->peers_up >> i & 1u) != 0)
            printf("%s%" PRIu32, shown++ == 0 ? "" : ",", i);
    printf("],\"certificate_ends_s\":%" PRId64 ",\"certificate\":", status->certificate_ends_s);
    cli_json_text(stdout, status->certificate);
    printf(",\"halted\":%s,\"followers\":[", truth(status->halted));
    for (uint32_t i = 0, shown = 0; i < ORDAIN_REPLICA_MAX; i++)
        if ((status->followers >> i & 1u) != 0)
            printf("%s{\"replica\":%" PRIu32 ",\"match_seq\":%" PRIu64 ",\"silent\":%s}", shown++ == 0 ? "" : ",", i,
                   status->match_seq[i], truth((status->silent_followers >> i & 1u) != 0));
    printf("],\"evidence\":[");
    for (uint32_t i = 0, shown = 0; i < ORDAIN_REPLICA_MAX; i++)
        if (status->evidence[i] > 0)
            printf("%s{\"against\":%" PRIu32 ",\"pieces\":%" PRIu32 "}", shown++ == 0 ? "" : ",", i,
                   status->evidence[i]);
    printf("],\"counters\":{");
    for (uint32_t i = 0; i < status->counter_count; i++) {
        if (i > 0)
            putchar(',');
        cli_json_text(stdout, status->counters[i].name);
        printf(":%" PRIu64, status->counters[i].value);
    }
    printf("}}");
}

static void print_json(struct ordain *client, const struct ordain_status *list, uint32_t count) {
    struct ordain_channel channel;
    ordain_channel(client, &channel);
    printf("{\"channel\":");
    cli_json_text(stdout, channel.name);
    printf(",\"consensus\":");
    cli_json_text(stdout, channel.consensus);
    printf(",\"liars_max\":%" PRIu32 ",\"genesis\":\"%s\",\"replicas\":[", channel.liars_max,
           CLI_HASH(channel.genesis_hash));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            putchar(',');
        print_json_replica(client, &list[i]);
    }
    printf("]}\n");
}

int cli_status(int argc, char **argv) {
    struct status_arguments arguments;
    struct ordain *client = NULL;
    uint32_t count = 0;
    int code;
    if (!parse_arguments(&arguments, &code, argc, argv))
        return code;
    struct ordain_status *list = calloc(ORDAIN_REPLICA_MAX, sizeof(*list));
    if (list == NULL)
        return cli_no_memory();
    code = cli_connect(&client, &arguments.connection, false);
    if (code == CLI_EXIT_OK) {
        enum ordain_error error = ordain_status(client, list, &count, arguments.timeout_ms);
        if (arguments.json) {
            print_json(client, list, count);
        } else {
            print_table(client, list, count);
            print_followers(list, count);
            print_evidence(list, count);
            print_certificates(list, count);
            if (arguments.counters)
                print_counters(list, count);
        }
        if (error != ORDAIN_OK)
            cli_say("%s", error == ORDAIN_NO_MEMORY ? "out of memory" : "no replica answers");
        code = cli_exit_of(error);
        ordain_close(client);
    }
    free(list);
    return code;
}
