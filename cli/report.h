/*
 * What commands print: percentiles of latencies, JSON, progress.
 */
#ifndef ORDAIN_CLI_REPORT_H
#define ORDAIN_CLI_REPORT_H

#include <stdio.h>

#include "core/types.h"

/*
 * Latencies in bounded memory. A bucket is at most 1/64 wide, so a percentile is accurate to 1.6 %. The largest latency
 * is exact.
 */
#define CLI_LATENCY_STEPS   64u /* buckets in each power of two */
#define CLI_LATENCY_BUCKETS (CLI_LATENCY_STEPS * 36u)

struct cli_latencies {
    uint64_t count;
    uint64_t max_us;
    uint64_t buckets[CLI_LATENCY_BUCKETS];
};

void cli_latency_add(struct cli_latencies *latencies, uint64_t us);
/*
 * The value that `percent` of all latencies do not exceed (rounded up to its bucket, at most the largest). 0 if empty.
 */
uint64_t cli_latency_percentile(const struct cli_latencies *latencies, double percent);

/* Prints "p50 1.23 ms p90 ..." for people. */
void cli_latency_print(FILE *to, const struct cli_latencies *latencies);
/* Prints {"p50_us":...,...,"max_us":...}. */
void cli_latency_json(FILE *to, const struct cli_latencies *latencies);

/* Prints a JSON string with quotes. Bytes that are not printable ASCII are escaped. */
void cli_json_text(FILE *to, const char *text);
/* Prints a JSON string of hex digits. */
void cli_json_hex(FILE *to, const void *data, size_t size);
/* Prints hex digits alone. */
void cli_print_hex(FILE *to, const void *data, size_t size);

#endif
