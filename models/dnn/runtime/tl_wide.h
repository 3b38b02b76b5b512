/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors as wide as the processor has them, two side by side: a number for each
 * of TL_CHANNELS output channels, whose weights are packed TL_LANES at a time.
 *
 * TL_WIDTH is the numbers of a vector: 4, 8 or 16. Every output is a sum of its
 * own, in the order of its taps, so the width does not change a bit of it.
 */
#ifndef TL_WIDE_H
#define TL_WIDE_H

#include "tl_vector.h"

#ifndef TL_WIDTH
#if defined(__AVX512F__)
#define TL_WIDTH	16
#elif defined(__AVX__)
#define TL_WIDTH	8
#else
#define TL_WIDTH	4
#endif
#endif

#define TL_CHANNELS	(2 * TL_WIDTH)
#define TL_BLOCKS	(TL_CHANNELS / TL_LANES)

typedef float tl_wide __attribute__((vector_size(4 * TL_WIDTH)));
typedef int32_t tl_wide_mask __attribute__((vector_size(4 * TL_WIDTH)));

struct tl_sums {
	tl_wide of[2];
};

static inline tl_wide tl_load_wide(const float *from)
{
	tl_wide v;

	__builtin_memcpy(&v, from, sizeof(v));
	return v;
}

static inline void tl_store_wide(float *to, tl_wide v)
{
	__builtin_memcpy(to, &v, sizeof(v));
}

static inline tl_wide tl_all_wide(float value)
{
	/* Less a zero, not plus: so the sign of a zero stays */
	return value - (tl_wide){ 0.0f };
}

/* Lane by lane `yes` where the mask is set, else `no` */
static inline tl_wide tl_choose_wide(tl_wide_mask mask, tl_wide yes, tl_wide no)
{
	return (tl_wide)((mask & (tl_wide_mask)yes) |
			 (~mask & (tl_wide_mask)no));
}

/* Every other number of two vectors, from the first on */
static inline tl_wide tl_even_wide(tl_wide a, tl_wide b)
{
#if TL_WIDTH == 4
	return __builtin_shufflevector(a, b, 0, 2, 4, 6);
#elif TL_WIDTH == 8
	return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
	return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
				       20, 22, 24, 26, 28, 30);
#endif
}

/* From blocks that begin `at[b]` numbers behind `from` */
static inline struct tl_sums tl_load_blocks(const float *from,
					    const size_t at[TL_BLOCKS])
{
#if TL_WIDTH < 16
	return (struct tl_sums){ {
		tl_load_wide(from),
		tl_load_wide(from + (TL_WIDTH == 4 ? TL_WIDTH : at[1])),
	} };
#else
	typedef float eight __attribute__((vector_size(4 * TL_LANES)));
	eight v[TL_BLOCKS];

	__builtin_memcpy(&v[0], from, sizeof(v[0]));
	__builtin_memcpy(&v[1], from + at[1], sizeof(v[1]));
	__builtin_memcpy(&v[2], from + at[2], sizeof(v[2]));
	__builtin_memcpy(&v[3], from + at[3], sizeof(v[3]));

	return (struct tl_sums){ {
		__builtin_shufflevector(v[0], v[1], 0, 1, 2, 3, 4, 5, 6, 7, 8,
					9, 10, 11, 12, 13, 14, 15),
		__builtin_shufflevector(v[2], v[3], 0, 1, 2, 3, 4, 5, 6, 7, 8,
					9, 10, 11, 12, 13, 14, 15),
	} };
#endif
}

static inline void tl_meet(struct tl_sums *sums, const struct tl_sums *weight,
			   float x)
{
	sums->of[0] += weight->of[0] * x;
	sums->of[1] += weight->of[1] * x;
}

/* Sums of `count` columns (4 or more) to the rows of all channels */
static inline __attribute__((always_inline)) void
tl_store_sums(float *const *rows, uint32_t channels, uint32_t column,
	      uint32_t count, const struct tl_sums *sums)
{
	uint32_t p = 0;
#if TL_WIDTH == TL_HALF
	(void)channels;
#pragma GCC unroll 4
	for (p = 0; p < count; p += TL_HALF) {
		const struct tl_sums *four = sums + p;

		tl_store_turned(rows, column + p, four[0].of[0], four[1].of[0],
				four[2].of[0], four[3].of[0]);
		tl_store_turned(rows + TL_HALF, column + p, four[0].of[1],
				four[1].of[1], four[2].of[1], four[3].of[1]);
	}
#else
	float each[16][TL_CHANNELS];
	uint32_t lane = 0;

	memcpy(each, sums, count * sizeof(*sums));
	for (lane = 0; lane < channels; lane += TL_HALF)
#pragma GCC unroll 4
		for (p = 0; p < count; p += TL_HALF) {
			/* The last four may be some again */
			uint32_t at = p + TL_HALF <= count ? p
							   : count - TL_HALF;

			tl_store_turned(rows + lane, column + at,
					tl_load(each[at] + lane),
					tl_load(each[at + 1] + lane),
					tl_load(each[at + 2] + lane),
					tl_load(each[at + 3] + lane));
		}
#endif
}

#endif /* TL_WIDE_H */
