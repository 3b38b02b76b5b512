/* SPDX-License-Identifier: BSD-2-Clause */
/* The taps of a sliding window that lie on the input, along one axis */
#ifndef TL_TAPS_H
#define TL_TAPS_H

#include "tl_layers.h"

struct tl_taps {
	int64_t start;	/* where tap 0 lies */
	uint32_t first;	/* taps [first, end) lie on the input */
	uint32_t end;
};

static inline struct tl_taps tl_taps_of(uint32_t position, uint32_t stride,
					uint32_t pad, uint32_t dilation,
					uint32_t kernel, uint32_t size)
{
	struct tl_taps taps = { .start = (int64_t)position * stride - pad };
	int64_t room = (int64_t)size - taps.start;

	if (taps.start < 0)
		taps.first = (uint32_t)((dilation - 1 - taps.start) / dilation);
	if (room > 0)
		taps.end = (uint32_t)((room + dilation - 1) / dilation);
	if (taps.end > kernel)
		taps.end = kernel;
	if (taps.first > taps.end)
		taps.first = taps.end;

	return taps;
}

static inline struct tl_taps tl_taps_of_row(const struct tl_window *window,
					    uint32_t row)
{
	return tl_taps_of(row, window->stride_rows, window->pad_rows,
			  window->dilation_rows, window->kernel_rows,
			  window->in_rows);
}

static inline struct tl_taps tl_taps_of_column(const struct tl_window *window,
					       uint32_t column, uint32_t width)
{
	return tl_taps_of(column, window->stride_columns, window->pad_columns,
			  window->dilation_columns, window->kernel_columns,
			  width);
}

/* Taps that count, of those that may lie on padding up to `size` + `pad_end` */
static inline uint32_t tl_counted(const struct tl_taps *taps, bool whole,
				  uint32_t kernel, uint32_t dilation,
				  uint32_t size, uint32_t pad_end)
{
	uint32_t count = 0;
	uint32_t i = 0;

	if (!whole)
		return taps->end - taps->first;
	for (i = 0; i < kernel; i++)
		if (taps->start + (int64_t)i * dilation <
		    (int64_t)size + pad_end)
			count++;

	return count;
}

/*
 * Columns [*from, *to) of an output of `out_width` of which no window meets
 * padding, for an input of `width`
 */
static inline void tl_columns_inside(const struct tl_window *window,
				     uint32_t width, uint32_t out_width,
				     uint32_t *from, uint32_t *to)
{
	uint32_t stride = window->stride_columns;
	int64_t reach = (int64_t)(window->kernel_columns - 1) *
			window->dilation_columns;
	int64_t last = (int64_t)width + window->pad_columns - reach - 1;

	*from = (window->pad_columns + stride - 1) / stride;
	*to = last < 0 ? 0 : (uint32_t)(last / stride) + 1;
	if (*to > out_width)
		*to = out_width;
	if (*from > *to)
		*from = *to;
}

/* Rows [row, row + count) lie one behind the other */
static inline bool tl_in_one_piece(const struct tl_view *view, uint32_t row,
				   uint32_t count)
{
	return !view->ring || row % view->slots + count <= view->slots;
}

/*
 * A window of one element makes each output from the input at its place: rows
 * that lie one behind the other on both sides are as good as one long row
 */
static inline bool tl_is_flat(const struct tl_window *window,
			      const struct tl_view *x, const struct tl_view *y,
			      const struct tl_part *part)
{
	uint32_t rows = part->row_end - part->row;

	return window->kernel_rows == 1 && window->kernel_columns == 1 &&
	       window->stride_rows == 1 && window->stride_columns == 1 &&
	       !window->pad_rows && !window->pad_columns &&
	       x->width == y->width && part->row_end <= window->in_rows &&
	       tl_in_one_piece(x, part->row, rows) &&
	       tl_in_one_piece(y, part->row, rows);
}

#endif /* TL_TAPS_H */
