// SPDX-License-Identifier: BSD-2-Clause
/* Convolution of every channel with a window of its own, along rows */
#include "tl_layers.h"
#include "tl_vector.h"

/* Adds one kernel row to an output row that begins as the bias */
static void add_kernel_row(const struct tl_window *window, const float *w,
			   const float *x, uint32_t in_width, float *y,
			   uint32_t out_width)
{
	uint32_t stride = window->stride_columns;
	uint32_t j = 0;
	uint32_t column = 0;

	for (j = 0; j < window->kernel_columns; j++) {
		uint32_t shift = j * window->dilation_columns;
		uint32_t pad = window->pad_columns;
		/* Columns whose tap lies on the input: [from, to) */
		uint32_t from = shift < pad ? (pad - shift + stride - 1) / stride
					    : 0;
		uint32_t room = in_width + pad;
		uint32_t to = shift < room ? (room - shift - 1) / stride + 1 : 0;
		const float *at = NULL;

		if (to > out_width)
			to = out_width;
		if (from >= to)
			continue;
		at = x + ((size_t)from * stride + shift - pad);
		column = from;
		for (; stride == 1 && column + TL_HALF <= to;
		     column += TL_HALF, at += TL_HALF)
			tl_store(y + column, tl_load(y + column) +
				 tl_load(at) * w[j]);
		for (; column < to; column++, at += stride)
			y[column] += *at * w[j];
	}
}

static void make_row(const struct tl_filter *filter, const struct tl_view *x,
		     const float *w, uint32_t channel, uint32_t row, float *y,
		     uint32_t out_width)
{
	const struct tl_window *window = &filter->window;
	uint32_t i = 0;

	for (i = 0; i < window->kernel_rows; i++) {
		int64_t at = (int64_t)row * window->stride_rows +
			     (int64_t)i * window->dilation_rows -
			     window->pad_rows;

		if (at < 0 || at >= window->in_rows)
			continue;
		add_kernel_row(window, w + (size_t)i * window->kernel_columns,
			       tl_row(x, channel, (uint32_t)at), x->width, y,
			       out_width);
	}
}

void tl_depthwise(const struct tl_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part)
{
	uint32_t taps = filter->window.kernel_rows *
			filter->window.kernel_columns;
	uint32_t channel = 0;
	uint32_t row = 0;
	uint32_t column = 0;

	for (channel = part->channel; channel < part->channel_end; channel++) {
		uint32_t index = channel - part->channel;
		float bias = filter->bias ? filter->bias[index] : 0.0f;

		for (row = part->row; row < part->row_end; row++) {
			float *out = tl_row(y, channel, row);

			for (column = 0; column < y->width; column++)
				out[column] = bias;
			make_row(filter, x, filter->weights +
				 (size_t)index * taps, channel, row, out,
				 y->width);
		}
	}
}
