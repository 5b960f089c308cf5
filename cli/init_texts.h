/* The configuration files that `ordain init` writes, with comments that teach. */
#ifndef ORDAIN_CLI_INIT_TEXTS_H
#define ORDAIN_CLI_INIT_TEXTS_H

#include "channel/config.h"

#define INIT_TEXT_MAX 8192

/* The text of node.cfg for replica `index`. NO_SPACE cannot happen with names of legal length. */
ORD_MUST_USE enum ord_err init_node_text(char out[INIT_TEXT_MAX], const struct channel_config *config, uint32_t index);
ORD_MUST_USE enum ord_err init_client_text(char out[INIT_TEXT_MAX], const char *channel);

#endif
