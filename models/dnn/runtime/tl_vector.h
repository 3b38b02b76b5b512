/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of four numbers, as compilers for Arm and x86 have them: half of the
 * TL_LANES that weights are packed by, because one of all would lie in memory
 * where registers are shorter. tl_wide.h has those that are as long as they get.
 * Copies are the compiler's own, also where it is told that there is no libc.
 */
#ifndef TL_VECTOR_H
#define TL_VECTOR_H

#include <string.h>

#include "tl_layers.h"

#define TL_HALF	(TL_LANES / 2)

typedef float tl_half __attribute__((vector_size(4 * TL_HALF)));
typedef int32_t tl_mask __attribute__((vector_size(4 * TL_HALF)));

static inline tl_half tl_load(const float *from)
{
	tl_half v;

	__builtin_memcpy(&v, from, sizeof(v));
	return v;
}

static inline void tl_store(float *to, tl_half v)
{
	__builtin_memcpy(to, &v, sizeof(v));
}

static inline tl_half tl_all(float value)
{
	return (tl_half){ value, value, value, value };
}

/* Fewer than TL_LANES weights, `count`, meet an input */
static inline void tl_meet_some(float *sums, const float *w, uint32_t count,
				float x)
{
	uint32_t i = 0;

	if (count >= TL_HALF) {
		tl_store(sums, tl_load(sums) + tl_load(w) * x);
		i = TL_HALF;
	}
	for (; i < count; i++)
		sums[i] += w[i] * x;
}

/* TL_HALF numbers, `stride` apart. Nothing behind the last is read */
static inline tl_half tl_gather(const float *from, uint32_t stride)
{
	if (stride == 1)
		return tl_load(from);
	if (stride == 2)
		return __builtin_shufflevector(tl_load(from), tl_load(from + 3),
					       0, 2, 5, 7);

	return (tl_half){ from[0], from[stride], from[2 * (size_t)stride],
			  from[3 * (size_t)stride] };
}

/* Lane by lane `yes` where the mask is set, else `no` */
static inline tl_half tl_choose(tl_mask mask, tl_half yes, tl_half no)
{
	return (tl_half)((mask & (tl_mask)yes) | (~mask & (tl_mask)no));
}

/* Four vectors of four, turned: the first lanes of all to rows[0], and so on */
static inline void tl_store_turned(float *const rows[TL_HALF], uint32_t column,
				   tl_half a, tl_half b, tl_half c, tl_half d)
{
	tl_half ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
	tl_half cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);

	tl_store(rows[0] + column, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
	tl_store(rows[1] + column, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
	ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
	tl_store(rows[2] + column, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
	tl_store(rows[3] + column, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
}

#endif /* TL_VECTOR_H */
