/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of TL_LANES numbers, as compilers for Arm and x86 have them: two of
 * four, because one of eight would lie in memory where registers are shorter.
 */
#ifndef TL_VECTOR_H
#define TL_VECTOR_H

#include <string.h>

#include "tl_layers.h"

#define TL_HALF	(TL_LANES / 2)

typedef float tl_half __attribute__((vector_size(4 * TL_HALF)));

struct tl_pair {
	tl_half low;
	tl_half high;
};

static inline tl_half tl_load(const float *from)
{
	tl_half v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static inline void tl_store(float *to, tl_half v)
{
	memcpy(to, &v, sizeof(v));
}

static inline struct tl_pair tl_load_pair(const float *from)
{
	return (struct tl_pair){ tl_load(from), tl_load(from + TL_HALF) };
}

/* The first `count` lanes; the others are 0 */
static inline struct tl_pair tl_load_some_pair(const float *from,
					       uint32_t count)
{
	float lanes[TL_LANES] = { 0 };
	uint32_t i = 0;

	if (count == TL_LANES)
		return tl_load_pair(from);
	for (i = 0; i < count; i++)
		lanes[i] = from[i];

	return tl_load_pair(lanes);
}

#endif /* TL_VECTOR_H */
