/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors of 8 small integers, as compilers for Arm and x86 have them.
 *
 * An input less its zero has at most 9 bits, a weight 8: their product fits
 * 16 bits (255 * 128 = 32,640), sums take 32.
 */
#ifndef TQ_VECTOR_H
#define TQ_VECTOR_H

#include <string.h>

#ifdef __aarch64__
#include <arm_neon.h>
#endif

#include "tq_layers.h"

typedef uint8_t tq_bytes __attribute__((vector_size(TL_LANES)));
typedef int16_t tq_shorts __attribute__((vector_size(2 * TL_LANES)));
typedef uint8_t tq_sixteen __attribute__((vector_size(16)));
typedef uint64_t tq_long __attribute__((vector_size(16)));
typedef int32_t tq_ints __attribute__((vector_size(16)));
typedef uint32_t tq_uints __attribute__((vector_size(16)));
typedef float tq_floats __attribute__((vector_size(16)));

/* A sum for each of 8 lanes: unsigned, so that it may wrap around */
struct tq_sums {
	tq_uints low;
	tq_uints high;
};

/* Bytes of a type whose least value becomes 0 by `^ flip`, less `offset` */
struct tq_centre {
	uint8_t flip;
	int16_t offset;
};

static inline struct tq_centre tq_centre_of(const struct tq_number *number)
{
	struct tq_centre centre = { .offset = (int16_t)number->zero };

	if (number->is_signed) {
		centre.flip = 128;
		centre.offset = (int16_t)(number->zero + 128);
	}

	return centre;
}

/* A byte less its tensor's zero */
static inline int32_t tq_centred(const struct tq_centre *centre, uint8_t byte)
{
	return (int32_t)(byte ^ centre->flip) - centre->offset;
}

/* 8 bytes as numbers of 16 bits */
static inline tq_shorts tq_widen(tq_bytes bytes)
{
#ifdef __aarch64__
	return (tq_shorts)vmovl_u8((uint8x8_t)bytes);
#else
	uint64_t word = (uint64_t)bytes;
	tq_long both = (tq_long){ word, 0 };

	return (tq_shorts)__builtin_shufflevector((tq_sixteen)both,
						  (tq_sixteen){ 0 }, 0, 16, 1,
						  17, 2, 18, 3, 19, 4, 20, 5,
						  21, 6, 22, 7, 23);
#endif
}

/*
 * `count` bytes (8 or 4, the rest of the lanes mean nothing), `stride` apart,
 * less the zero. Nothing behind the last is read
 */
static inline tq_shorts tq_load_centred(const struct tq_centre *centre,
					const uint8_t *from, uint32_t stride,
					uint32_t count)
{
	uint8_t lanes[TL_LANES] = { 0 };
	tq_bytes bytes = { 0 };
	tq_bytes more = { 0 };
	uint32_t i = 0;

	if (stride == 1) {
		__builtin_memcpy(&bytes, from, count);
	} else if (stride == 2 && count == TL_LANES) {
		__builtin_memcpy(&bytes, from, TL_LANES);
		__builtin_memcpy(&more, from + TL_LANES - 1, TL_LANES);
		bytes = __builtin_shufflevector(bytes, more, 0, 2, 4, 6,
						9, 11, 13, 15);
	} else {
		for (i = 0; i < count; i++)
			lanes[i] = from[(size_t)i * stride];
		__builtin_memcpy(&bytes, lanes, TL_LANES);
	}
	bytes ^= centre->flip;

	return tq_widen(bytes) - centre->offset;
}

static inline tq_shorts tq_load_weights(const int8_t *from)
{
	tq_bytes bytes;

	__builtin_memcpy(&bytes, from, sizeof(bytes));
	/* From 0 to 255, and back to -128 to 127 */
	return (tq_widen(bytes) ^ 128) - 128;
}

/* sums += a * b, lane by lane; every product fits 16 bits */
static inline void tq_add_products(struct tq_sums *sums, tq_shorts a,
				   tq_shorts b)
{
#ifdef __aarch64__
	sums->low = (tq_uints)vmlal_s16((int32x4_t)sums->low,
					vget_low_s16((int16x8_t)a),
					vget_low_s16((int16x8_t)b));
	sums->high = (tq_uints)vmlal_high_s16((int32x4_t)sums->high,
					      (int16x8_t)a, (int16x8_t)b);
#else
	tq_shorts products = a * b;
	tq_shorts signs = products >> 15;

	sums->low += (tq_uints)__builtin_shufflevector(products, signs, 0, 8, 1,
						       9, 2, 10, 3, 11);
	sums->high += (tq_uints)__builtin_shufflevector(products, signs, 4, 12,
							5, 13, 6, 14, 7, 15);
#endif
}

/*
 * Numbers of two input channels, side by side, where the processor adds pairs of
 * products; elsewhere those of one channel, in `first`
 */
struct tq_two {
	tq_shorts first;
	tq_shorts second;
};

#ifdef __SSE2__
#define TQ_CHANNELS	2

static inline struct tq_two tq_two_of(tq_shorts a, tq_shorts b)
{
	return (struct tq_two){
		__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11),
		__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15),
	};
}

/* The inputs in lane p of x meet the weights of all lanes */
#define TQ_MEET(sums, weight, x, p) do { \
	tq_ints tq_pairs = (tq_ints)((p) < 4 ? (x).first : (x).second); \
	tq_shorts tq_both = (tq_shorts) \
		__builtin_shufflevector(tq_pairs, tq_pairs, (p) % 4, (p) % 4, \
					(p) % 4, (p) % 4); \
	(sums)->low += (tq_uints)__builtin_ia32_pmaddwd128((weight).first, \
							   tq_both); \
	(sums)->high += (tq_uints)__builtin_ia32_pmaddwd128((weight).second, \
							    tq_both); \
} while (0)
#else
#define TQ_CHANNELS	1

static inline struct tq_two tq_two_of(tq_shorts a, tq_shorts b)
{
	return (struct tq_two){ a, b };
}

#define TQ_MEET(sums, weight, x, p) \
	tq_add_products(sums, (weight).first, \
			__builtin_shufflevector((x).first, (x).first, \
						p, p, p, p, p, p, p, p))
#endif

static inline tq_shorts tq_all(int16_t value)
{
	return (tq_shorts){ value, value, value, value,
			    value, value, value, value };
}

/* The first `count` lanes; the others are 0 */
static inline struct tq_sums tq_load_sums(const int32_t *from, uint32_t count)
{
	struct tq_sums sums = { .low = { 0 } };
	int32_t lanes[TL_LANES] = { 0 };

	if (from) {
		__builtin_memcpy(lanes, from, count * sizeof(*from));
		__builtin_memcpy(&sums.low, lanes, sizeof(sums.low));
		__builtin_memcpy(&sums.high, lanes + 4, sizeof(sums.high));
	}

	return sums;
}

/* To the nearest integer, ties to even, of what is between -2^22 and 2^22 */
#define TQ_ROUND	12582912.0f	/* 1.5 * 2^23: a unit is 1 there */

/* How results of a tensor are kept inside its type, before its zero is added */
struct tq_range {
	float low;
	float high;
	int32_t zero;
};

static inline struct tq_range tq_range_of(const struct tq_number *number)
{
	int32_t low = number->is_signed ? -128 : 0;

	return (struct tq_range){
		.low = (float)(low - number->zero),
		.high = (float)(low + 255 - number->zero),
		.zero = number->zero,
	};
}

/* Limits are integers: rounding before or behind them is the same */
static inline uint8_t tq_saturate(const struct tq_range *range, float value)
{
	value = value > range->low ? value : range->low;
	value = value < range->high ? value : range->high;
	value = (value + TQ_ROUND) - TQ_ROUND;

	return (uint8_t)((int32_t)value + range->zero);
}

static inline tq_floats tq_choose(tq_ints mask, tq_floats yes, tq_floats no)
{
	return (tq_floats)((mask & (tq_ints)yes) | (~mask & (tq_ints)no));
}

/* tq_saturate() of sums times their multipliers, 4 lanes: the lowest bytes */
static inline tq_ints tq_requantize(const struct tq_range *range, tq_uints sums,
				    tq_floats multipliers)
{
	tq_floats low = { range->low, range->low, range->low, range->low };
	tq_floats high = { range->high, range->high, range->high, range->high };
	tq_floats value = __builtin_convertvector((tq_ints)sums, tq_floats);

	value *= multipliers;
	value = tq_choose((tq_ints)(value > low), value, low);
	value = tq_choose((tq_ints)(value < high), value, high);
	value = (value + TQ_ROUND) - TQ_ROUND;

	return __builtin_convertvector(value, tq_ints) + range->zero;
}

/* A multiplier for each of 8 lanes, 0 where there is none */
struct tq_multipliers {
	tq_floats low;
	tq_floats high;
};

static inline struct tq_multipliers tq_load_multipliers(const float *from,
							uint32_t count)
{
	struct tq_multipliers multipliers;
	float lanes[TL_LANES] = { 0 };

	__builtin_memcpy(lanes, from, count * sizeof(*from));
	__builtin_memcpy(&multipliers.low, lanes, sizeof(multipliers.low));
	__builtin_memcpy(&multipliers.high, lanes + 4, sizeof(multipliers.high));

	return multipliers;
}

/*
 * Results of four columns, for each of four lanes a word with the four bytes in
 * their order
 */
static inline tq_ints tq_four(const struct tq_range *range,
			      tq_floats multipliers, tq_uints a, tq_uints b,
			      tq_uints c, tq_uints d)
{
	return (tq_requantize(range, a, multipliers) & 255) |
	       (tq_requantize(range, b, multipliers) & 255) << 8 |
	       (tq_requantize(range, c, multipliers) & 255) << 16 |
	       tq_requantize(range, d, multipliers) << 24;
}

/* One column: a byte for each of 8 lanes */
static inline void tq_result(const struct tq_range *range,
			     const struct tq_sums *sums,
			     const struct tq_multipliers *multipliers,
			     uint8_t bytes[TL_LANES])
{
	tq_ints low = tq_requantize(range, sums->low, multipliers->low);
	tq_ints high = tq_requantize(range, sums->high, multipliers->high);
	uint32_t i = 0;

#pragma GCC unroll 4
	for (i = 0; i < 4; i++) {
		bytes[i] = (uint8_t)low[i];
		bytes[i + 4] = (uint8_t)high[i];
	}
}

static inline uint8_t *tq_row(const struct tl_view *view, uint32_t channel,
			      uint32_t row)
{
	return (uint8_t *)view->data + tl_index(view, channel, row);
}

#endif /* TQ_VECTOR_H */
