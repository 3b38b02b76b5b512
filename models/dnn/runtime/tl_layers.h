/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tiny layers: the operators of networks on float32, part by part.
 *
 * Every function makes one part of its output (some channels, some rows) from
 * inputs that lie in views. Nothing allocates, keeps state or checks: the plan
 * says what lies where, and was checked (see tl_view.h). Inputs and outputs do
 * not overlap, but for functions that say that they may work in place.
 *
 * Non-goals: choosing parts, and other types than float32.
 */
#ifndef TL_LAYERS_H
#define TL_LAYERS_H

#include "tl_view.h"

/* Output channels whose weights lie side by side: see tl_conv() */
#define TL_LANES	8

/* A window that slides over rows and columns; padding is before the first */
struct tl_window {
	uint32_t kernel_rows;
	uint32_t kernel_columns;
	uint32_t stride_rows;
	uint32_t stride_columns;
	uint32_t pad_rows;
	uint32_t pad_columns;
	uint32_t dilation_rows;
	uint32_t dilation_columns;
	uint32_t in_rows;	/* of the whole input: beyond is padding */
};

struct tl_filter {
	struct tl_window window;
	uint32_t in_channels;	/* of a group */
	uint32_t out_channels;	/* of a group */
	const float *weights;
	const float *bias;	/* of the part's channels, or NULL */
};

/*
 * Cross-correlation with bias.
 *
 * The weights of the part's channels, group by group, are packed: channels
 * are taken TL_LANES at a time (fewer at the end of the part or of a group),
 * and of these the weights of one input channel, kernel row and column lie
 * side by side.
 */
void tl_conv(const struct tl_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part);

/*
 * As tl_conv() where a group is one channel in and one out. Weights are not
 * packed: kernel rows by kernel columns for each channel of the part.
 */
void tl_depthwise(const struct tl_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part);

/*
 * y = weights times x plus bias: `inputs` numbers to the part's channels, both
 * without gaps. Weights are packed as for tl_conv(); bias may be NULL.
 */
void tl_dense(const float *weights, const float *bias, const float *x,
	      uint32_t inputs, float *y, uint32_t outputs);

void tl_max_pool(const struct tl_window *window, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part);

/* `whole`: padding counts as zeros; `pad_end`: how much there is, rows, columns */
void tl_average_pool(const struct tl_window *window, bool whole,
		     const uint32_t pad_end[2], const struct tl_view *x,
		     const struct tl_view *y, const struct tl_part *part);

/* The mean of each channel: rows [0, in_rows) must be there */
void tl_global_average(uint32_t in_rows, const struct tl_view *x,
		       const struct tl_view *y, const struct tl_part *part);

/* y = a + b; either may be y */
void tl_add(const struct tl_view *a, const struct tl_view *b,
	    const struct tl_view *y, const struct tl_part *part);

enum tl_curve {
	TL_COPY,
	TL_RELU,
	TL_LEAKY,		/* below 0: times `low` */
	TL_CLIP,		/* from `low` to `high` */
	TL_SIGMOID,
	TL_TANH,
	TL_HARD_SWISH,		/* x * clip(x / 6 + 1/2, 0, 1) */
	TL_HARD_SIGMOID,	/* clip(x * low + high, 0, 1) */
	TL_ERF,
	TL_EXP,
};

/* y = curve(x), element by element; x may be y */
void tl_apply(enum tl_curve curve, float low, float high,
	      const struct tl_view *x, const struct tl_view *y,
	      const struct tl_part *part);

/*
 * The part's channels of y are those of x from `from_channel` on: what
 * concatenation and slicing along channels are made of
 */
void tl_move(const struct tl_view *x, uint32_t from_channel,
	     const struct tl_view *y, const struct tl_part *part);

/* Every element becomes factor by factor of them */
void tl_upsample(uint32_t factor, const struct tl_view *x,
		 const struct tl_view *y, const struct tl_part *part);

/* y = a x + b per channel; a and b are those of the part's channels */
void tl_scale(const float *a, const float *b, const struct tl_view *x,
	      const struct tl_view *y, const struct tl_part *part);

/* Exponentials, scaled to sum to 1; x may be y */
void tl_softmax(const float *x, float *y, size_t count);

#endif /* TL_LAYERS_H */
