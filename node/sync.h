/*
 * What both sides of a state transfer agree on (docs/protocol.md).
 */
#ifndef ORDAIN_NODE_SYNC_H
#define ORDAIN_NODE_SYNC_H

enum {
    SYNC_BLOCKS = 1,
    SYNC_TAIL = 2,
    SYNC_PIECE_HEADER_SIZE = 8 + 4,
    SYNC_PIECE_BYTES_MAX = 1 << 20, /* of blocks in a piece, but always one block */
    SYNC_LATER_HEADERS_MAX = 4096,
};

#endif
