/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations for the fast loop, from a seed and the state of the reference. */
#ifndef DRAW_H
#define DRAW_H

#include "lockstep.h"

void draw_seed(uint64_t seed);
struct op draw(const struct world *world);

#endif /*DRAW_H*/
