/*
 * ordain-sim runs seeds of the simulator, and prints how to replay one that fails.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "sim/check.h"
#include "sim/check_service.h"
#include "sim/client.h"
#include "sim/liar.h"
#include "sim/marks.h"
#include "sim/search.h"
#include "sim/world.h"

struct arguments {
    struct sim_options options;
    bool seed_given;
    uint64_t runs;
    double minutes;
    bool json;
    bool stop;
    bool search;
    struct sim_genome genome; /* of --genome */
    bool marks;
    /* Fails if a mark of those that are met often was not met. */
    bool marks_often;
    bool marks_all;
    /* Options that change what a seed means. */
    char again[512];
};

struct totals {
    uint64_t runs;
    uint64_t liar_runs; /* with at least one liar */
    /* With f liars, which is the most. */
    uint64_t full_liar_runs;
    uint64_t violations;
    uint64_t simulated_us;
    uint64_t events;
    uint64_t messages;
    uint64_t blocks;
    uint64_t receipts;
    /* Those of them that came while clients made new requests, and for how long they made some. */
    uint64_t receipts_loaded;
    uint64_t loaded_us;
    uint64_t crashes;
    uint64_t lies;
    uint64_t evidence;
    uint64_t view_max;
    /* Runs in which service was measured, those compared with the same seed without liars, and the liars of these. */
    uint64_t service_runs;
    uint64_t compared_runs;
    uint64_t compared_liars; /* bits by enum sim_behaviour_index */
    /* The lowest goodput of these, in thousandths of that without liars, and its seed. */
    uint64_t ratio_least;
    uint64_t ratio_seed;
    /* The longest time that an honest client waited for a receipt. */
    uint64_t longest_us;
};

static char replay_line[1100];
static struct sim_marks marks;

static void print_help(void) {
    printf(
        "ordain-sim: a whole Ordain channel in one process, decided by one 64-bit seed.\n\n"
        "Replicas run the real consensus core and the real channel state machine; network, disks, clocks, processes "
        "and\n"
        "clients are simulated. Each seed draws its own channel, load, faults and liars. After every step the "
        "invariants\n"
        "are checked; then all faults stop, and every admitted request must be served and all replicas must be "
        "equal.\n\n"
        "  ordain-sim                     100 runs from a fresh seed\n"
        "  ordain-sim --minutes 60        as many as fit into an hour\n"
        "  ordain-sim --seed 7 --trace    one run, told event by event\n"
        "  ordain-sim --steady --seed 1   a healthy channel under moderate load: how fast is it?\n\n"
        "  --seed S         the seed; with --runs or --minutes the first one, and the next ones follow it\n"
        "  --runs N         so many runs (1 with --seed, else 100)\n"
        "  --minutes M      so long\n"
        "  --stop           at the first violation\n"
        "  --faults LIST    these kinds of fault instead of a draw: names with commas, \"all\" or \"none\"\n"
        "  --liars LIST     liars with these behaviours, as many as may lie: names with commas, \"all\" or \"none\"\n"
        "  --lead           the liars lead the first views of a pbft channel\n"
        "  --consensus C    pbft (with one replica solo), raft, or any (default): one seed in four is raft, unless\n"
        "                   --liars, --genome, --rotate, --search, --steady or --crowded ask for a pbft channel\n"
        "  --replicas N     so many replicas: 1 (solo), 4 to 16; with --consensus raft 1 to 16\n"
        "  --seconds S      faults for so many simulated seconds\n"
        "  --steady         no fault, no liar but those of --liars, default configuration, moderate load\n"
        "  --crowded        --steady on a slow channel, with clients that want several times what it can order\n"
        "  --service        only runs in which service is measured: up to f lie or fail, from idle to overload\n"
        "  --genome TEXT    liars that follow these rules, as many as may lie: WORD/WHOM/ROLE/ACT/WHEN, with commas\n"
        "  --search         --service in search of the genome that harms most\n"
        "  --rotate N       views end after N seqs\n"
        "  --load N         with --steady: so many times the load\n"
        "  --trace          tell everything that happens\n"
        "  --json           the summary as JSON\n"
        "  --marks          which coverage marks were met (each room's marks.h), never met ones first\n"
        "  --marks-required often|all\n"
        "                   fail when one that the fixed seeds meet, or any at all, was not met\n\n"
        "Faults:\n");
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
        printf("  %-16s %s\n", sim_faults[i].name, sim_faults[i].what);
    printf("\nLiars (with the rows of the adversary list that they play):\n");
    for (uint32_t i = 0; i < SIM_BEHAVIOUR_COUNT; i++)
        printf("  %-16s %s (%s)\n", sim_behaviours[i].name, sim_behaviours[i].what, sim_behaviours[i].rows);
    printf(
        "\nA genome's rules (up to 5; the first one that fits a message decides; sim/genome.h):\n"
        "  WORD  any, a type of message (pre-prepare, prepare, commit, status, view-change, new-view, fetch, body,\n"
        "        relay, witness, attestation, certificate, forward, sync), or answer: those to clients\n"
        "  WHOM  all, few (f honest replicas), rest (the other honest ones), leader\n"
        "  ROLE  any, leading, following, changing (between two views)\n"
        "  ACT   drop, delay:N (thousandths of the request timeout), copy:N (N times more), hold:N (until after the\n"
        "        next N messages)\n"
        "  WHEN  N%%, every:N (one of N messages), burst:N (during one of N request timeouts)\n");
    printf("\nExit code: 0 when nothing was violated, 1 when something was or a required mark was not met,\n2 for a "
           "wrong command line.\n");
}

static const char *fault_at(uint32_t index) {
    return index < SIM_FAULT_COUNT ? sim_faults[index].name : NULL;
}

static const char *behaviour_at(uint32_t index) {
    return index < SIM_BEHAVIOUR_COUNT ? sim_behaviours[index].name : NULL;
}

/* Turns names, separated by commas, into bits. */
static bool parse_names(uint64_t *bits, const char *list, const char *(*name_at)(uint32_t index)) {
    *bits = 0;
    if (strcmp(list, "none") == 0)
        return true;
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        bool found = false;
        for (uint32_t i = 0; name_at(i) != NULL; i++)
            if ((size == 3 && strncmp(list, "all", 3) == 0) ||
                (strlen(name_at(i)) == size && strncmp(list, name_at(i), size) == 0)) {
                *bits |= UINT64_C(1) << i;
                found = true;
            }
        if (!found) {
            fprintf(stderr, "ordain-sim: there is no \"%.*s\"; --help lists the names\n", (int) size, list);
            return false;
        }
        list += size + (list[size] == ',');
    }
    return true;
}

static bool parse_number(uint64_t *out, const char *text, uint64_t low, uint64_t high, const char *option) {
    char *end;
    *out = strtoull(text, &end, 0);
    if (*text == '\0' || *text == '-' || *end != '\0' || *out < low || *out > high) {
        fprintf(stderr, "ordain-sim: %s wants a number from %" PRIu64 " to %" PRIu64 ", not \"%s\"\n", option, low,
                high, text);
        return false;
    }
    return true;
}

static void add_again(struct arguments *arguments, const char *option, const char *value) {
    size_t used = strlen(arguments->again);
    snprintf(arguments->again + used, sizeof(arguments->again) - used, " --%s%s%s", option, value == NULL ? "" : " ",
             value == NULL ? "" : value);
}

enum choice {
    SEED,
    RUNS,
    MINUTES,
    /* From here to CROWDED they change what a seed means. */
    CONSENSUS,
    FAULTS,
    LIARS,
    LEAD,
    REPLICAS,
    SECONDS,
    ROTATE,
    LOAD,
    STEADY,
    SERVICE,
    CROWDED,
    GENOME,
    SEARCH,
    TRACE,
    JSON,
    STOP,
    MARKS,
    REQUIRED,
    HELP,
};

static const struct option long_options[] = {
    {"seed", required_argument, NULL, SEED},
    {"runs", required_argument, NULL, RUNS},
    {"minutes", required_argument, NULL, MINUTES},
    {"consensus", required_argument, NULL, CONSENSUS},
    {"faults", required_argument, NULL, FAULTS},
    {"liars", required_argument, NULL, LIARS},
    {"lead", no_argument, NULL, LEAD},
    {"replicas", required_argument, NULL, REPLICAS},
    {"seconds", required_argument, NULL, SECONDS},
    {"rotate", required_argument, NULL, ROTATE},
    {"load", required_argument, NULL, LOAD},
    {"steady", no_argument, NULL, STEADY},
    {"service", no_argument, NULL, SERVICE},
    {"crowded", no_argument, NULL, CROWDED},
    {"genome", required_argument, NULL, GENOME},
    {"search", no_argument, NULL, SEARCH},
    {"trace", no_argument, NULL, TRACE},
    {"json", no_argument, NULL, JSON},
    {"stop", no_argument, NULL, STOP},
    {"marks", no_argument, NULL, MARKS},
    {"marks-required", required_argument, NULL, REQUIRED},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static bool parse_consensus(enum sim_consensus *out, const char *name) {
    static const char *const names[] = {
        [SIM_CONSENSUS_ANY] = "any", [SIM_CONSENSUS_PBFT] = "pbft", [SIM_CONSENSUS_RAFT] = "raft"};
    for (int i = SIM_CONSENSUS_ANY; i <= SIM_CONSENSUS_RAFT; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum sim_consensus) i;
            return true;
        }
    fprintf(stderr, "ordain-sim: --consensus wants \"pbft\", \"raft\" or \"any\", not \"%s\"\n", name);
    return false;
}

static bool marks_possible(void) {
    if (!sim_marks_count())
        fprintf(stderr, "ordain-sim: this build does not count marks (CMake option ORD_MARKS)\n");
    return sim_marks_count();
}

static bool take(struct arguments *arguments, int option, const char *value) {
    struct sim_options *options = &arguments->options;
    uint64_t number = 0;
    if (option >= CONSENSUS && option <= CROWDED)
        add_again(arguments, long_options[option].name, value);
    switch ((enum choice) option) {
    case SEED:
        arguments->seed_given = true;
        return parse_number(&options->seed, value, 0, UINT64_MAX, "--seed");
    case RUNS:
        return parse_number(&arguments->runs, value, 1, UINT64_MAX, "--runs");
    case MINUTES:
        arguments->minutes = strtod(value, NULL);
        if (arguments->minutes > 0)
            return true;
        fprintf(stderr, "ordain-sim: --minutes wants a number above 0\n");
        return false;
    case CONSENSUS:
        return parse_consensus(&options->consensus, value);
    case FAULTS:
        options->faults_given = true;
        return parse_names(&options->faults, value, fault_at);
    case LIARS:
        options->liars_given = true;
        return parse_names(&options->liars, value, behaviour_at);
    case LEAD:
        options->liars_lead = true;
        return true;
    case REPLICAS:
        if (!parse_number(&number, value, 1, 16, "--replicas"))
            return false;
        options->replicas = (uint32_t) number;
        return true;
    case SECONDS:
        if (!parse_number(&number, value, 1, 1000000, "--seconds"))
            return false;
        options->fault_ms = (uint32_t) number * 1000;
        return true;
    case ROTATE:
        if (!parse_number(&number, value, 1, UINT32_MAX, "--rotate"))
            return false;
        options->decisions_per_leader = (uint32_t) number;
        return true;
    case LOAD:
        if (!parse_number(&number, value, 1, 1000, "--load"))
            return false;
        options->load = (uint32_t) number;
        return true;
    case STEADY:
        options->calm = true;
        return true;
    case SERVICE:
        options->service = true;
        return true;
    case CROWDED:
        options->calm = true;
        options->crowded = true;
        return true;
    case GENOME:
        options->genome = &arguments->genome;
        if (sim_genome_parse(&arguments->genome, value))
            return true;
        fprintf(stderr, "ordain-sim: \"%s\" is no genome; --help tells the rules\n", value);
        return false;
    case SEARCH:
        arguments->search = true;
        options->service = true;
        options->consensus = options->consensus == SIM_CONSENSUS_ANY ? SIM_CONSENSUS_PBFT : options->consensus;
        add_again(arguments, "consensus", "pbft");
        add_again(arguments, "service", NULL);
        return true;
    case TRACE:
        options->trace = true;
        return true;
    case JSON:
        arguments->json = true;
        return true;
    case STOP:
        arguments->stop = true;
        return true;
    case MARKS:
        arguments->marks = true;
        return marks_possible();
    case REQUIRED:
        arguments->marks_often = strcmp(value, "often") == 0;
        arguments->marks_all = strcmp(value, "all") == 0;
        if (arguments->marks_often || arguments->marks_all)
            return marks_possible();
        fprintf(stderr, "ordain-sim: --marks-required wants \"often\" or \"all\"\n");
        return false;
    case HELP:
        print_help();
        exit(0);
    }
    return false;
}

static bool parse(struct arguments *arguments, int argc, char **argv) {
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take(arguments, option, optarg))
            return false;
    if (optind != argc) {
        fprintf(stderr, "ordain-sim: \"%s\"? --help tells the options\n", argv[optind]);
        return false;
    }
    const struct sim_options *options = &arguments->options;
    bool raft = options->consensus == SIM_CONSENSUS_RAFT;
    if (!raft && (options->replicas == 2 || options->replicas == 3)) {
        fprintf(stderr,
                "ordain-sim: 2 and 3 replicas are no channel: solo has 1, pbft at least 4 (--consensus raft)\n");
        return false;
    }
    if (raft && ((options->liars_given && options->liars != 0) || options->genome != NULL || arguments->search ||
                 options->decisions_per_leader != 0)) {
        fprintf(stderr, "ordain-sim: nobody lies in a raft channel, and no term ends on schedule\n");
        return false;
    }
    if (arguments->search && (options->replicas == 1 || options->genome != NULL || options->liars_lead)) {
        fprintf(stderr, "ordain-sim: --search wants 4 replicas or more, makes its own genomes, and says who leads\n");
        return false;
    }
    if (arguments->options.calm && arguments->options.fault_ms == 0)
        arguments->options.fault_ms = 600000;
    if (!arguments->seed_given && (crypto_init() != ORD_OK || crypto_random(&arguments->options.seed, 6) != ORD_OK))
        return false;
    if (arguments->runs == 0)
        arguments->runs = arguments->minutes > 0 ? UINT64_MAX : arguments->seed_given ? 1 : 100;
    return true;
}

/* A broken assertion of the code under test ends the process. This prints which run that was. */
static void on_abort(int number) {
    (void) number;
    static const char text[] = "ordain-sim: that was a broken invariant of the code under test. Replay:\n";
    if (write(STDERR_FILENO, text, sizeof(text) - 1) > 0 && write(STDERR_FILENO, replay_line, strlen(replay_line)) < 0)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static void print_violation(const struct sim_world *world) {
    printf("violation in seed %" PRIu64 " at %" PRIu64 ".%03" PRIu64 " ms: %s\n  faults:", world->options.seed,
           world->now_us / 1000, world->now_us % 1000, world->failure);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
        if (world->plan.faults >> i & 1)
            printf(" %s", sim_faults[i].name);
    printf("; %s, replicas %u", channel_consensus_name(world->plan.consensus), world->replica_count);
    for (uint32_t i = 0; i < world->instance_count; i++) {
        const struct sim_replica *replica = &world->replicas[i];
        if (replica->forgetful)
            printf("; %u forgot", i);
        if (!replica->liar)
            continue;
        printf("; %u (id %u) lies:", i, replica->id);
        for (uint32_t b = 0; b < SIM_BEHAVIOUR_COUNT; b++)
            if (replica->behaviours >> b & 1)
                printf(" %s", sim_behaviours[b].name);
    }
    printf("\n  replay: %s", replay_line);
    fflush(stdout);
}

static void count_service(struct totals *totals, const struct sim_world *world) {
    uint64_t ratio = sim_service_ratio(world);
    totals->service_runs += world->plan.service;
    if (ratio == UINT64_MAX)
        return;
    for (uint32_t i = 0; i < world->instance_count; i++)
        totals->compared_liars |= world->replicas[i].behaviours;
    if (totals->compared_runs++ == 0 || ratio < totals->ratio_least) {
        totals->ratio_least = ratio;
        totals->ratio_seed = world->options.seed;
    }
}

static void print_service(const struct totals *totals) {
    if (totals->service_runs == 0)
        return;
    printf("service: measured in %" PRIu64 " runs, compared with no liars in %" PRIu64, totals->service_runs,
           totals->compared_runs);
    if (totals->compared_runs > 0)
        printf("; least goodput %" PRIu64 ".%" PRIu64 " %% (seed %" PRIu64 "); liars:", totals->ratio_least / 10,
               totals->ratio_least % 10, totals->ratio_seed);
    for (uint32_t b = 0; b < SIM_BEHAVIOUR_COUNT; b++)
        if (totals->compared_liars >> b & 1)
            printf(" %s", sim_behaviours[b].name);
    printf("\n");
}

/* Writes the command that replays this run, but for --trace. */
static void replay(char *out, size_t size, const struct arguments *arguments, uint64_t seed,
                   const struct sim_genome *genome) {
    char text[SIM_GENOME_TEXT_MAX] = "";
    if (genome != NULL)
        sim_genome_print(text, genome);
    snprintf(out, size, "ordain-sim --seed %" PRIu64 "%s%s%s", seed, arguments->again,
             genome == NULL ? "" : " --genome ", text);
}

static void print_find(const struct sim_search *search, const struct arguments *arguments) {
    const struct sim_find *find = sim_search_worst(search);
    char command[1000];
    replay(command, sizeof(command), arguments, find->worst_seed, &find->genome);
    printf("genome %" PRIu64 ": goodput %" PRIu64 ".%" PRIu64 " %%; seed %" PRIu64 ": %" PRIu64 ".%" PRIu64
           " %%, slowest request %" PRIu64 " ms, trace hash %016" PRIx64 "\n  %s\n",
           sim_search_tries(search), find->ratio / 10, find->ratio % 10, find->worst_seed, find->worst_ratio / 10,
           find->worst_ratio % 10, find->worst_longest_us / 1000, find->worst_hash, command);
    fflush(stdout);
}

static void print_search(const struct sim_search *search) {
    const struct sim_find *find = sim_search_worst(search);
    uint64_t median;
    uint64_t fresh = sim_search_fresh(search, &median);
    if (fresh > 0)
        printf("search: %" PRIu64 " genomes, %" PRIu64 " of them fresh; goodput: median of these %" PRIu64 ".%" PRIu64
               " %%, worst %" PRIu64 ".%" PRIu64 " %%\n",
               sim_search_tries(search), fresh, median / 10, median % 10, find->ratio / 10, find->ratio % 10);
}

/* `search`: NULL, or what the run is for. */
static void run_one(struct totals *totals, const struct arguments *arguments, struct sim_options *options,
                    struct sim_search *search) {
    struct sim_service_standard *standard = search == NULL ? NULL : sim_search_next(search, options);
    char command[1000];
    replay(command, sizeof(command), arguments, options->seed, options->genome);
    snprintf(replay_line, sizeof(replay_line), "%s --trace\n", command);
    struct sim_world *world = sim_world_create(options);
    sim_service_compare(world, standard);
    sim_world_run(world);
    if (!world->failed)
        sim_service_end(world);
    count_service(totals, world);
    sim_marks_after_run(&marks);
    totals->runs++;
    totals->liar_runs += world->plan.liar_count > 0;
    totals->full_liar_runs += world->plan.liar_count > 0 && world->plan.liar_count == world->plan.faulty_max;
    totals->violations += world->failed;
    totals->simulated_us += world->now_us;
    totals->events += world->event_count;
    totals->messages += world->messages_sent;
    totals->blocks += world->checker->model.block_count;
    totals->receipts += world->checker->receipts;
    totals->receipts_loaded += world->checker->receipts_loaded;
    totals->loaded_us += world->plan.load_end_us;
    totals->crashes += world->crashes;
    totals->lies += world->lies;
    totals->evidence += world->checker->evidence;
    if (world->checker->view_max > totals->view_max)
        totals->view_max = world->checker->view_max;
    if (sim_clients_longest_us(world) > totals->longest_us)
        totals->longest_us = sim_clients_longest_us(world);
    if (world->failed && !arguments->json)
        print_violation(world);
    if (world->failed && arguments->json)
        printf("{\"violation\": \"%s\", \"seed\": %" PRIu64 ", \"at_ms\": %" PRIu64 "}\n", world->failure,
               options->seed, world->now_us / 1000);
    if (arguments->runs == 1 && !arguments->json)
        printf("seed %" PRIu64 ": %s, %u replicas, %zu seqs, %zu blocks, trace hash %016" PRIx64 "\n", options->seed,
               channel_consensus_name(world->plan.consensus), world->replica_count, world->checker->model.seq_count,
               world->checker->model.block_count, world->trace_hash);
    if (search != NULL && sim_search_took(search, world) && !arguments->json)
        print_find(search, arguments);
    sim_world_destroy(world);
}

/* SIGINT and SIGTERM end a swarm after the present run, with its totals. The second one ends the process. */
static volatile sig_atomic_t must_stop;

static void on_stop(int number) {
    must_stop = 1;
    signal(number, SIG_DFL);
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void print_totals(const struct totals *totals, uint64_t first_seed, double wall_s, bool json) {
    double simulated_s = (double) totals->simulated_us / 1e6;
    static const char text[] =
        "%" PRIu64 " runs from seed %" PRIu64 ": %" PRIu64 " violations\n"
        "%" PRIu64 " runs had liars, %" PRIu64 " of them f liars\n"
        "simulated %.0f s in %.1f s: %.0f times real time, %.0f runs an hour\n"
        "%" PRIu64 " events, %" PRIu64 " messages, %" PRIu64 " blocks, %" PRIu64 " receipts, %" PRIu64
        " crashes, %" PRIu64 " lies, %" PRIu64 " pieces of evidence, highest view %" PRIu64 "\n";
    static const char json_text[] =
        "{\"runs\": %" PRIu64 ", \"first_seed\": %" PRIu64 ", \"violations\": %" PRIu64 ", \"simulated_s\": %.3f, "
        "\"wall_s\": %.3f, \"speed\": %.1f, \"runs_an_hour\": %.0f, \"events\": %" PRIu64 ", \"messages\": %" PRIu64
        ", \"blocks\": %" PRIu64 ", \"receipts\": %" PRIu64 ", \"crashes\": %" PRIu64 ", \"lies\": %" PRIu64
        ", \"evidence\": %" PRIu64 ", \"view_max\": %" PRIu64 ", \"liar_runs\": %" PRIu64
        ", \"full_liar_runs\": %" PRIu64 ", \"longest_ms\": %" PRIu64 ", \"goodput\": %.1f}\n";
    double speed = simulated_s / wall_s;
    double hourly = (double) totals->runs * 3600 / wall_s;
    if (json)
        printf(json_text, totals->runs, first_seed, totals->violations, simulated_s, wall_s, speed, hourly,
               totals->events, totals->messages, totals->blocks, totals->receipts, totals->crashes, totals->lies,
               totals->evidence, totals->view_max, totals->liar_runs, totals->full_liar_runs, totals->longest_us / 1000,
               (double) totals->receipts_loaded * 1e6 / (double) totals->loaded_us);
    else
        printf(text, totals->runs, first_seed, totals->violations, totals->liar_runs, totals->full_liar_runs,
               simulated_s, wall_s, speed, hourly, totals->events, totals->messages, totals->blocks, totals->receipts,
               totals->crashes, totals->lies, totals->evidence, totals->view_max);
}

int main(int argc, char **argv) {
    struct arguments arguments = {0};
    if (!parse(&arguments, argc, argv))
        return 2;
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
    struct totals totals = {0};
    uint64_t first_seed = arguments.options.seed;
    double begin_s = seconds_now();
    struct sim_search *search = arguments.search ? sim_search_create(&arguments.options) : NULL;
    if (!arguments.json)
        printf("ordain-sim: first seed %" PRIu64 "\n", first_seed);
    fflush(stdout);
    for (uint64_t i = 0; i < arguments.runs && !must_stop && !(arguments.stop && totals.violations > 0); i++) {
        if (arguments.minutes > 0 && seconds_now() - begin_s >= arguments.minutes * 60)
            break;
        struct sim_options options = arguments.options;
        options.seed = first_seed + i;
        run_one(&totals, &arguments, &options, search);
    }
    print_totals(&totals, first_seed, seconds_now() - begin_s, arguments.json);
    if (!arguments.json)
        print_service(&totals);
    if (search != NULL && !arguments.json)
        print_search(search);
    if (search != NULL)
        sim_search_destroy(search);
    if (arguments.marks)
        sim_marks_print(&marks, arguments.json);
    uint32_t missing = arguments.marks_often || arguments.marks_all
                           ? sim_marks_missing(&marks, arguments.marks_all, arguments.options.consensus)
                           : 0;
    return totals.violations > 0 || missing > 0 ? 1 : 0;
}
