/*
 * Percentiles and JSON.
 */
#include "cli/report.h"

#include <inttypes.h>

#include "cli/number.h"

#define HEX_CHUNK 512u

/*
 * Values under CLI_LATENCY_STEPS have a bucket each. Above that, every power of two is divided into CLI_LATENCY_STEPS
 * equal parts.
 */
static uint32_t bucket_of(uint64_t us) {
    if (us < CLI_LATENCY_STEPS)
        return (uint32_t) us;
    uint32_t power = 63u - (uint32_t) __builtin_clzll(us);
    uint32_t shift = power - 6u; /* 2^6 is CLI_LATENCY_STEPS */
    uint64_t bucket = (uint64_t) (shift + 1) * CLI_LATENCY_STEPS + ((us >> shift) - CLI_LATENCY_STEPS);
    return bucket < CLI_LATENCY_BUCKETS ? (uint32_t) bucket : CLI_LATENCY_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_end(uint32_t bucket) {
    if (bucket < CLI_LATENCY_STEPS)
        return bucket;
    uint32_t shift = bucket / CLI_LATENCY_STEPS - 1;
    uint64_t step = bucket % CLI_LATENCY_STEPS + CLI_LATENCY_STEPS;
    return ((step + 1) << shift) - 1;
}

void cli_latency_add(struct cli_latencies *latencies, uint64_t us) {
    latencies->count++;
    if (us > latencies->max_us)
        latencies->max_us = us;
    latencies->buckets[bucket_of(us)]++;
}

uint64_t cli_latency_percentile(const struct cli_latencies *latencies, double percent) {
    if (latencies->count == 0)
        return 0;
    double wanted = (double) latencies->count * percent / 100.0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < CLI_LATENCY_BUCKETS; i++) {
        seen += latencies->buckets[i];
        if (seen > 0 && (double) seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < latencies->max_us && i + 1 < CLI_LATENCY_BUCKETS ? end : latencies->max_us;
        }
    }
    return latencies->max_us;
}

static const struct {
    const char *name;
    double percent;
} percentiles[] = {{"p50", 50.0}, {"p90", 90.0}, {"p99", 99.0}};
#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

void cli_latency_print(FILE *to, const struct cli_latencies *latencies) {
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        fprintf(to, "%s %.2f ms  ", percentiles[i].name,
                (double) cli_latency_percentile(latencies, percentiles[i].percent) / 1000.0);
    fprintf(to, "max %.2f ms", (double) latencies->max_us / 1000.0);
}

void cli_latency_json(FILE *to, const struct cli_latencies *latencies) {
    fputc('{', to);
    for (size_t i = 0; i < PERCENTILE_COUNT; i++)
        fprintf(to, "\"%s_us\":%" PRIu64 ",", percentiles[i].name,
                cli_latency_percentile(latencies, percentiles[i].percent));
    fprintf(to, "\"max_us\":%" PRIu64 "}", latencies->max_us);
}

void cli_json_text(FILE *to, const char *text) {
    fputc('"', to);
    for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(to, "\\%c", *c);
        else if (*c < ' ' || *c > '~')
            fprintf(to, "\\u%04x", *c);
        else
            fputc(*c, to);
    }
    fputc('"', to);
}

void cli_print_hex(FILE *to, const void *data, size_t size) {
    char text[2 * HEX_CHUNK + 1];
    const uint8_t *bytes = data;
    for (size_t done = 0; done < size; done += HEX_CHUNK)
        fputs(cli_hex(text, bytes + done, size - done < HEX_CHUNK ? size - done : HEX_CHUNK), to);
}

void cli_json_hex(FILE *to, const void *data, size_t size) {
    fputc('"', to);
    cli_print_hex(to, data, size);
    fputc('"', to);
}
