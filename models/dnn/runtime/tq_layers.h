/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tiny layers on numbers of 8 bits, part by part: see tl_layers.h.
 *
 * The arithmetic is that of kit/tessera/plan/execute_integers.py, to the bit:
 * exact sums of inputs less their zero, converted to float32, times one float32,
 * rounded to the nearest integer (ties to even), moved by the output's zero and
 * kept inside its type. Sums of more than 31 bits are taken modulo 2^32. A
 * result that is no number is the least of the type.
 *
 * Views hold elements of one byte, but for the float side of tq_quantize() and
 * tq_dequantize(). Zeros lie inside their types.
 */
#ifndef TQ_LAYERS_H
#define TQ_LAYERS_H

#include "tl_layers.h"

/* What the bytes of a tensor stand for */
struct tq_number {
	int32_t zero;
	bool is_signed;
};

struct tq_filter {
	struct tl_window window;
	uint32_t in_channels;		/* of a group */
	uint32_t out_channels;		/* of a group */
	const int8_t *weights;
	/* Those of the part's channels; bias may be NULL */
	const int32_t *bias;
	const float *multipliers;
	struct tq_number x;
	struct tq_number y;
};

/* Weights are packed as for tl_conv() */
void tq_conv(const struct tq_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part);

/* Weights lie as for tl_depthwise() */
void tq_depthwise(const struct tq_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part);

/* `inputs` numbers to `outputs`, both without gaps; the window is not looked at */
void tq_dense(const struct tq_filter *filter, const uint8_t *x,
	      uint32_t inputs, uint8_t *y, uint32_t outputs);

void tq_max_pool(const struct tl_window *window, bool is_signed,
		 const struct tl_view *x, const struct tl_view *y,
		 const struct tl_part *part);

/* How numbers of x become those of y: see tl_average_pool() */
struct tq_mean {
	float ratio;		/* x scale / y scale */
	struct tq_number x;
	struct tq_number y;
};

void tq_average_pool(const struct tl_window *window, bool whole,
		     const uint32_t pad_end[2], const struct tq_mean *mean,
		     const struct tl_view *x, const struct tl_view *y,
		     const struct tl_part *part);

/* mean->ratio is divided by rows * columns already */
void tq_global_average(uint32_t in_rows, const struct tq_mean *mean,
		       const struct tl_view *x, const struct tl_view *y,
		       const struct tl_part *part);

struct tq_real {
	float scale;
	struct tq_number number;
};

/* y = a + b; either may be y */
void tq_add(const struct tq_real real[3], const struct tl_view *a,
	    const struct tl_view *b, const struct tl_view *y,
	    const struct tl_part *part);

/* y = table[x]; entry 0 is for the least x; x may be y */
void tq_table(const uint8_t table[256], bool is_signed,
	      const struct tl_view *x, const struct tl_view *y,
	      const struct tl_part *part);

void tq_quantize(const struct tq_real *real, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part);

void tq_dequantize(const struct tq_real *real, const struct tl_view *x,
		   const struct tl_view *y, const struct tl_part *part);

/* As tl_move() and tl_upsample() */
void tq_move(const struct tl_view *x, uint32_t from_channel,
	     const struct tl_view *y, const struct tl_part *part);

void tq_upsample(uint32_t factor, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part);

#endif /* TQ_LAYERS_H */
