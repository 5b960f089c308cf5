/*
 * node.cfg and client.cfg as `ordain init` writes them. Every optional setting appears, commented out, with its
 * default.
 */
#include "cli/init_texts.h"

#include <stdio.h>

static const char node_text[] =
    "# Replica %u of channel '%s' (%s). Format: libconfig. Paths are relative to this file's folder.\n"
    "# What the channel agreed on (its replicas, organisations and limits) is not here but in the genesis block.\n"
    "\n"
    "# Which replica of the genesis block this is. The identity key below must be the one that stands there.\n"
    "replica = %u;\n"
    "genesis_file = \"../genesis.block\";\n"
    "\n"
    "# The ledger. One process at a time may have it open.\n"
    "data_dir = \"data\";\n"
    "\n"
    "# The identity key (secp256k1) signs votes and blocks. Whoever has it can vote as this replica: mode 0600, or "
    "the\n"
    "# replica refuses to start.\n"
    "identity_key_file = \"identity.key\";\n"
    "\n"
    "# TLS. The certificate names this replica as the genesis block does, under its organisation's CA; the others dial "
    "by\n"
    "# these two. Whom this replica trusts is in the genesis block, too.\n"
    "tls_cert_file = \"tls.crt\";\n"
    "tls_key_file = \"tls.key\";\n"
    "\n"
    "# Where to listen: for the other replicas, and for clients and peers. Use \"0.0.0.0\" for every address of this\n"
    "# machine. The ports are the genesis block's unless they are given here (say, behind a port mapping).\n"
    "replica_listen_host = \"%s\";\n"
    "client_listen_host = \"%s\";\n"
    "# replica_listen_port = %u;\n"
    "# client_listen_port = %u;\n"
    "\n"
    "# Below: what may be changed, with its default. Sizes are in bytes.\n"
    "\n"
    "# Threads that check signatures. Default: as many as the machine has processors, at most 8.\n"
    "# verify_threads = 2;\n"
    "\n"
    "# Envelopes that wait for their order: in all, and of one client. Beyond that, clients are told BUSY.\n"
    "# pool_envelopes_max = 65536;\n"
    "# pool_bytes_max = 67108864;\n"
    "# client_envelopes_max = 16384;\n"
    "\n"
    "# What is kept for a replica that is away or slow. It is asked for again when it was dropped.\n"
    "# Default: this, or twice the largest frame that the channel allows; one such frame at least.\n"
    "# link_queue_bytes_max = 33554432;\n"
    "\n"
    "# Requests of clients and peers that are served at the same time.\n"
    "# client_contexts = 256;\n"
    "\n"
    "# The ledger's largest size, and the free disk space under which intake stops with BUSY until there is room "
    "again.\n"
    "# ledger_map_bytes_max = 1099511627776;\n"
    "# disk_reserve_bytes = 67108864;\n"
    "\n"
    "# error, warn, info or debug\n"
    "# log_level = \"info\";\n";

static const char client_text[] =
    "# A client of channel '%s'. Format: libconfig. Paths are relative to this file's folder.\n"
    "\n"
    "channel = \"%s\";\n"
    "\n"
    "# All that has to be trusted: it names the replicas and their keys. Blocks and receipts are checked against it "
    "alone.\n"
    "genesis = \"../genesis.block\";\n"
    "\n"
    "# Who this client is. The key (secp256k1) signs its envelopes: mode 0600. The certificate is registered with the "
    "channel\n"
    "# by the first submission.\n"
    "identity_key = \"identity.key\";\n"
    "identity_cert = \"identity.crt\";\n"
    "\n"
    "# TLS. Each replica must show a certificate in its own name, from the CA of its organisation, as the genesis "
    "block "
    "says.\n"
    "tls_cert = \"tls.crt\";\n"
    "tls_key = \"tls.key\";\n"
    "\n"
    "# Below: what may be changed, with its default.\n"
    "\n"
    "# How long to wait for an answer before another replica is asked.\n"
    "# timeout_ms = 10000;\n"
    "\n"
    "# Requests under way at the same time, and envelopes in one request.\n"
    "# in_flight_max = 64;\n"
    "# envelopes_per_request = 64;\n"
    "\n"
    "# Where to reach the replicas' client ports, in the order of the genesis block. Default: as it says.\n"
    "# replicas = (\"host0:port0\", \"host1:port1\");\n";

static enum ord_err fitted(int length) {
    return length < 0 || length >= INIT_TEXT_MAX ? ORD_ERR_NO_SPACE : ORD_OK;
}

enum ord_err init_node_text(char out[INIT_TEXT_MAX], const struct channel_config *config, uint32_t index) {
    const struct channel_replica *replica = &config->replicas[index];
    return fitted(snprintf(out, INIT_TEXT_MAX, node_text, index, config->name,
                           channel_consensus_name(config->consensus), index, replica->host, replica->host,
                           (unsigned) replica->replica_port, (unsigned) replica->client_port));
}

enum ord_err init_client_text(char out[INIT_TEXT_MAX], const char *channel) {
    return fitted(snprintf(out, INIT_TEXT_MAX, client_text, channel, channel));
}
