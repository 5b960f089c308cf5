/* Chooses ports for `ordain init`. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/init.h"

#define PORT_LOWEST   10000
#define PORT_TRIES    4096
#define PORT_FALLBACK 32768 /* Linux's first ephemeral port by default */

/* The first port that the kernel uses for outgoing connections. */
static uint32_t ephemeral_first(void) {
    uint32_t first = PORT_FALLBACK;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file != NULL) {
        char line[64];
        if (fgets(line, sizeof(line), file) != NULL)
            first = (uint32_t) strtoul(line, NULL, 10);
        fclose(file);
    }
    return first < UINT16_MAX ? first : UINT16_MAX;
}

/*
 * Binds `host` at `port` (0: any port). Returns a socket, or -1 with errno. EADDRNOTAVAIL: the host is not this
 * machine.
 */
static int bind_socket(const char *host, uint16_t port) {
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned) port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && bind(fd, info->ai_addr, info->ai_addrlen) != 0) {
            int code = errno;
            close(fd);
            fd = -1;
            errno = code;
        }
    }
    int code = errno;
    freeaddrinfo(found);
    errno = code;
    return fd;
}

/* The port that `fd` is bound to; 0: not known. */
static uint16_t bound_port(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char service[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *) &address, &size) != 0 ||
        getnameinfo((struct sockaddr *) &address, size, NULL, 0, service, sizeof(service), NI_NUMERICSERV) != 0)
        return 0;
    return (uint16_t) strtoul(service, NULL, 10);
}

/* Finds a free port of the host; *held gets the socket that holds it. 0: none, and errno says why. */
static uint16_t free_port(int *held, const char *host, uint32_t limit) {
    for (uint32_t i = 0; limit > PORT_LOWEST && i < PORT_TRIES; i++) {
        uint32_t random;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t) sizeof(random))
            break;
        uint16_t port = (uint16_t) (PORT_LOWEST + random % (limit - PORT_LOWEST));
        *held = bind_socket(host, port);
        if (*held >= 0)
            return port;
        if (errno != EADDRINUSE && errno != EACCES)
            return 0;
    }
    *held = bind_socket(host, 0);
    uint16_t port = *held < 0 ? 0 : bound_port(*held);
    if (*held >= 0 && port == 0)
        close(*held);
    return port;
}

static enum ord_err choose_free(struct channel_config *config, char *why) {
    uint32_t limit = ephemeral_first();
    int held[2 * ORD_REPLICA_MAX];
    uint32_t held_count = 0;
    enum ord_err err = ORD_OK;
    for (uint32_t i = 0; i < 2 * config->replica_count && err == ORD_OK; i++) {
        struct channel_replica *replica = &config->replicas[i / 2];
        uint16_t port = free_port(&held[held_count], replica->host, limit);
        if (port == 0) {
            snprintf(why, INIT_WHY_MAX, "no free port on %s (%s)%s", replica->host, strerror(errno),
                     errno == EADDRNOTAVAIL ? "; it is not this machine: choose ports with --base-port" : "");
            err = ORD_ERR_IN_USE;
            break;
        }
        held_count++;
        if (i % 2 == 0)
            replica->replica_port = port;
        else
            replica->client_port = port;
    }
    for (uint32_t i = 0; i < held_count; i++)
        close(held[i]);
    return err;
}

enum ord_err init_choose_ports(struct channel_config *config, uint16_t base, char *why) {
    if (base == 0)
        return choose_free(config, why);
    if ((uint32_t) base + 2 * config->replica_count - 1 > UINT16_MAX) {
        snprintf(why, INIT_WHY_MAX, "--base-port %u leaves no room for %u ports", (unsigned) base,
                 2 * config->replica_count);
        return ORD_ERR_INVALID;
    }
    for (uint32_t i = 0; i < config->replica_count; i++) {
        config->replicas[i].replica_port = (uint16_t) (base + 2 * i);
        config->replicas[i].client_port = (uint16_t) (base + 2 * i + 1);
    }
    return ORD_OK;
}
