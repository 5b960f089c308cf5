/*
 * Strangers at the door (row T3 in docs/adversary.md): makes connections that vanish in the middle of the handshake, in
 * each manner in turn.
 *
 *     net_strangers HOST PORT COUNT [tcp|tls]
 *
 * Prints a line when all connections were made. Exit code 0: done; 1: the port stopped accepting connections; 2: wrong
 * arguments.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SILENT_MAX = 100, ANSWER_MS = 1000, CONNECT_S = 20 };

enum manner {
    RESET_AT_ONCE,
    CLOSE_AT_ONCE,
    HALF_THEN_CLOSE, /* half of the first message of the handshake */
    HALF_THEN_RESET,
    GARBAGE,
    SILENCE,           /* stays for a while and sends nothing */
    ALERT,             /* TLS's close_notify, or a hello of the wrong protocol */
    ANSWER_THEN_RESET, /* a whole first message; vanishes when the answer comes */
    MANNER_COUNT
};

/* A ClientHello that the listener accepts: TLS 1.2, ECDHE-ECDSA, P-256. The random bytes are arbitrary. */
static const uint8_t client_hello[] = {
    /* clang-format off */
    0x16, 0x03, 0x01, 0x00, 0x51,                         /* handshake record */
    0x01, 0x00, 0x00, 0x4d, 0x03, 0x03,                   /* ClientHello, TLS 1.2 */
    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,   16,
    17,   18,   19,   20,   21,   22,   23,   24,   25,   26,   27,   28,   29,   30,   31,   32, /* random */
    0x00,                                                 /* no session */
    0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2c,                   /* ECDHE-ECDSA with AES-GCM */
    0x01, 0x00,                                           /* no compression */
    0x00, 0x20,                                           /* extensions */
    0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17,       /* secp256r1 */
    0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,                   /* uncompressed points */
    0x00, 0x0d, 0x00, 0x06, 0x00, 0x04, 0x04, 0x03, 0x05, 0x03, /* ecdsa_secp256r1_sha256, ecdsa_secp384r1_sha384 */
    0x00, 0x17, 0x00, 0x00,                               /* extended master secret */
    0x00, 0x16, 0x00, 0x00,                               /* encrypt then MAC */
    /* clang-format on */
};
static const uint8_t close_notify[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x01, 0x00};
static const uint8_t sp_hello[] = {0, 'S', 'P', 0, 0, 0x50, 0, 0};
static const uint8_t sp_wrong_hello[] = {0, 'S', 'P', 0, 0, 0x10, 0, 0};

static int stranger_connect(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    struct timeval patience = {CONNECT_S, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void say(int fd, const void *data, size_t size) {
    /* The peer may be gone already; this program is about that. */
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    (void) sent;
}

static void vanish(int fd, bool reset) {
    struct linger linger = {1, 0};
    if (reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static void behave(int fd, enum manner manner, bool tls, unsigned seed) {
    const uint8_t *first = tls ? client_hello : sp_hello;
    size_t size = tls ? sizeof(client_hello) : sizeof(sp_hello);
    uint8_t garbage[64];
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    switch (manner) {
    case HALF_THEN_CLOSE:
    case HALF_THEN_RESET:
        say(fd, first, 1 + seed % (size - 1));
        break;
    case GARBAGE:
        for (size_t i = 0; i < sizeof(garbage); i++)
            garbage[i] = (uint8_t) (seed * 31 + i * 17);
        say(fd, garbage, sizeof(garbage));
        break;
    case ALERT:
        if (tls)
            say(fd, close_notify, sizeof(close_notify));
        else
            say(fd, sp_wrong_hello, sizeof(sp_wrong_hello));
        break;
    case ANSWER_THEN_RESET:
        say(fd, first, size);
        poll(&answer, 1, ANSWER_MS);
        break;
    case RESET_AT_ONCE:
    case CLOSE_AT_ONCE:
    case SILENCE:
    case MANNER_COUNT:
        break;
    }
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5) {
        fprintf(stderr, "usage: net_strangers HOST PORT COUNT [tcp|tls]\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) strtoul(argv[2], NULL, 10))};
    unsigned long count = strtoul(argv[3], NULL, 10);
    bool tls = argc < 5 || strcmp(argv[4], "tls") == 0;
    if (inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
        fprintf(stderr, "net_strangers: %s is no IPv4 address\n", argv[1]);
        return 2;
    }
    int silent[SILENT_MAX];
    unsigned long silent_count = 0;
    for (unsigned long i = 0; i < count; i++) {
        enum manner manner = (enum manner)(i % MANNER_COUNT);
        int fd = stranger_connect(&address);
        if (fd < 0) {
            fprintf(stderr, "net_strangers: connection %lu: %s\n", i, strerror(errno));
            return 1;
        }
        behave(fd, manner, tls, (unsigned) (i / MANNER_COUNT));
        if (manner == SILENCE) {
            if (silent_count >= SILENT_MAX)
                close(silent[silent_count % SILENT_MAX]);
            silent[silent_count++ % SILENT_MAX] = fd;
            continue;
        }
        bool reset = manner == RESET_AT_ONCE || manner == HALF_THEN_RESET || manner == ANSWER_THEN_RESET;
        vanish(fd, reset);
    }
    printf("%lu strangers\n", count);
    return 0;
}
