/*
 * Solo: one replica that decides every proposal at once. It is for development, and the smallest example of the seam.
 */
#ifndef ORDAIN_CORE_SOLO_H
#define ORDAIN_CORE_SOLO_H

#include "core/protocol.h"

extern const struct ord_protocol solo_protocol;

#endif
