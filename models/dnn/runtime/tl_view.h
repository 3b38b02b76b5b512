/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a part of a tensor lies in the arena.
 *
 * A tensor has channels, rows and columns (a vector has channels alone, one
 * row, one column). A view holds some channels and some rows of it, always
 * whole rows, the column index fastest. In a ring, row r of a channel lies in
 * slot r modulo `slots`; else in slot r - first_row.
 *
 * Indices of channels and rows are always those of the whole tensor. Nothing
 * in the tiny layers checks them: the plan was checked before it runs.
 */
#ifndef TL_VIEW_H
#define TL_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tl_view {
	void *data;
	uint32_t first_channel;
	uint32_t first_row;
	uint32_t slots;		/* rows that there is room for, per channel */
	uint32_t width;		/* elements of a row */
	bool ring;
};

/* Output channels [channel, channel_end) and rows [row, row_end) */
struct tl_part {
	uint32_t channel;
	uint32_t channel_end;
	uint32_t row;
	uint32_t row_end;
};

/* The index of a row's first element */
static inline size_t tl_index(const struct tl_view *view, uint32_t channel,
			      uint32_t row)
{
	size_t slot = view->ring ? row % view->slots : row - view->first_row;

	return ((size_t)(channel - view->first_channel) * view->slots + slot) *
	       view->width;
}

static inline float *tl_row(const struct tl_view *view, uint32_t channel,
			    uint32_t row)
{
	return (float *)view->data + tl_index(view, channel, row);
}

#endif /* TL_VIEW_H */
