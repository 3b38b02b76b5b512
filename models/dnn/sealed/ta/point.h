/* SPDX-License-Identifier: BSD-2-Clause */
/* Points of the curve P-256, as 04 || x || y, big-endian */
#ifndef POINT_H
#define POINT_H

#include <tee_internal_api.h>

#include "tessera_sealed_ta.h"

#define POINT_COORDINATE	32u

/* Whether the bytes are a point of the curve, and not the one at infinity */
bool point_is_valid(const uint8_t point[TESSERA_SEALED_POINT]);

#endif /* POINT_H */
