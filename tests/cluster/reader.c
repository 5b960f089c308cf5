/*
 * A reader that never reads (row D7): asks one replica for blocks COUNT times at once, and reads nothing after the
 * first answer begins. Prints "asked" when all requests are sent, and stays until it is killed.
 *
 *     reader CLIENT_CFG REPLICA COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/client.h"
#include "client/wire.h"

enum { CONNECT_MS = 20000, PATIENCE_MS = 3600000 };

/* Runs in the connection's own thread, which is the only one that reads from it. */
static void on_reply(void *context, enum ord_err result, struct net_message *reply) {
    (void) context;
    (void) result;
    (void) reply;
    for (;;)
        pause();
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: reader CLIENT_CFG REPLICA COUNT\n");
        return 2;
    }
    char why[ORDAIN_TEXT_SIZE];
    struct ordain *client;
    struct ordain_options options;
    ordain_options_init(&options);
    options.config_file = argv[1];
    options.replica = (int) strtol(argv[2], NULL, 10);
    if (ordain_open(&client, &options, why, sizeof(why)) != ORDAIN_OK) {
        fprintf(stderr, "reader: %s\n", why);
        return 1;
    }
    struct net_client *net = client->replicas.list[options.replica].net;
    if (net_client_wait(net, CONNECT_MS) != ORD_OK) {
        fprintf(stderr, "reader: no connection\n");
        return 1;
    }
    client_request request;
    Ordain__V1__DeliverRequest ask = ORDAIN__V1__DELIVER_REQUEST__INIT;
    client_request_init(&request, client->config.channel);
    ask.from_seek = ORDAIN__V1__DELIVER_REQUEST__SEEK__OLDEST;
    ask.to_newest = true;
    request.kind_case = ORDAIN__V1__REQUEST__KIND_DELIVER;
    request.deliver = &ask;
    for (long left = strtol(argv[3], NULL, 10); left > 0; left--) {
        struct net_message *message;
        if (client_request_pack(&message, &request) != ORD_OK ||
            net_client_call(net, message, PATIENCE_MS, on_reply, NULL) != ORD_OK) {
            fprintf(stderr, "reader: cannot ask\n");
            return 1;
        }
    }
    puts("asked");
    fflush(stdout);
    for (;;)
        pause();
}
