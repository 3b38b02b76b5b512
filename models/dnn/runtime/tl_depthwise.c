// SPDX-License-Identifier: BSD-2-Clause
/*
 * Convolution of every channel with a window of its own, along rows.
 *
 * Rows of the input are copied to where zeros lie around them, so that no column
 * is special: a product with such a zero leaves every sum as it is, because
 * weights are finite and no sum is -0 (the bias is taken as +0 then).
 */
#include "tl_taps.h"
#include "tl_wide.h"

/* Numbers of all rows that are held at a time, and how many rows at most */
#define ROOM	(192 * TL_WIDTH)
#define SLOTS	16

/* What is made now: the rows of one channel */
struct job {
	const struct tl_filter *filter;
	const struct tl_view *x;
	const float *weights;
	uint32_t channel;
	uint32_t columns;
	uint32_t slots;		/* rows of the input that are held */
	uint32_t length;	/* of a row that is held */
	uint32_t count;		/* of it that are the input's */
	bool three;		/* rows of three taps, side by side */
	float bias;
	struct tl_taps rows;	/* of the output's row */
	const float *row[SLOTS];	/* of the input, held, for each tap */
	int64_t row_in[SLOTS];	/* which row a slot holds, or -1 */
	float held[ROOM];
};

/* The last of them twice: cheaper than one by one */
static void copy(float *to, const float *from, uint32_t count)
{
	uint32_t i = 0;

	for (; i + TL_WIDTH <= count; i += TL_WIDTH)
		tl_store_wide(to + i, tl_load_wide(from + i));
	for (; i < count && count >= TL_HALF; i += TL_HALF) {
		if (i + TL_HALF > count)
			i = count - TL_HALF;
		tl_store(to + i, tl_load(from + i));
	}
	for (; i < count; i++)
		to[i] = from[i];
}

/* A row of the input, from where the first column's window begins, in a slot */
static const float *hold(struct job *job, uint32_t row, uint32_t slot)
{
	float *to = job->held + slot * job->length;

	if (job->row_in[slot] != row) {
		job->row_in[slot] = row;
		copy(to + job->filter->window.pad_columns,
		     tl_row(job->x, job->channel, row), job->count);
	}

	return to;
}

/* What lies behind the last of a held row may be read */
static inline tl_wide every(const float *from, uint32_t stride)
{
	return stride == 1 ? tl_load_wide(from)
			   : tl_even_wide(tl_load_wide(from),
					  tl_load_wide(from + TL_WIDTH));
}

/* A row of taps on columns, and on as many more behind them where `two` */
static inline __attribute__((always_inline)) void
meet(const float *x, const float *w, uint32_t dilation, uint32_t stride,
     uint32_t across, bool two, tl_wide sums[2])
{
	uint32_t j = 0;

#pragma GCC unroll 3
	for (j = 0; j < across; j++, x += dilation) {
		sums[0] += every(x, stride) * w[j];
		if (two)
			sums[1] += every(x + TL_WIDTH * stride, stride) * w[j];
	}
}

/* `all`: three rows of three taps, `w`, none of which lies on padding */
static inline __attribute__((always_inline)) void
make(const struct job *job, const float w[9], uint32_t column, uint32_t stride,
     bool all, bool two, float *y)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t dilation = window->dilation_columns;
	uint32_t across = window->kernel_columns;
	uint32_t at = column * stride;
	tl_wide sums[2] = { { 0.0f } };
	uint32_t i = 0;

	sums[0] += job->bias;
	sums[1] = sums[0];
	if (all) {
		meet(job->row[0] + at, w, 1, stride, 3, two, sums);
		meet(job->row[1] + at, w + 3, 1, stride, 3, two, sums);
		meet(job->row[2] + at, w + 6, 1, stride, 3, two, sums);
	} else {
		for (i = job->rows.first; i < job->rows.end; i++)
			meet(job->row[i] + at,
			     job->weights + (size_t)i * across, dilation,
			     stride, across, two, sums);
	}
	tl_store_wide(y, sums[0]);
	if (two)
		tl_store_wide(y + TL_WIDTH, sums[1]);
}

static inline __attribute__((always_inline)) void
make_columns(const struct job *job, uint32_t stride, bool all, float *y)
{
	uint32_t count = job->columns;
	float some[TL_WIDTH];
	float w[9] = { 0.0f };
	uint32_t column = 0;

	/* Copies stay in registers: no store can change them */
	if (all)
		memcpy(w, job->weights, sizeof(w));
	if (count < TL_WIDTH) {
		make(job, w, 0, stride, all, false, some);
		copy(y, some, count);
		return;
	}
	for (; column + 2 * TL_WIDTH <= count; column += 2 * TL_WIDTH)
		make(job, w, column, stride, all, true, y + column);
	for (; column < count; column += TL_WIDTH) {
		/* What is left, and some again: cheaper than one by one */
		if (column + TL_WIDTH > count)
			column = count - TL_WIDTH;
		make(job, w, column, stride, all, false, y + column);
	}
}

static void make_row(struct job *job, float *y)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t dilation = window->dilation_rows;
	uint32_t first = job->rows.first;
	uint32_t row = (uint32_t)(job->rows.start + (int64_t)first * dilation);
	uint32_t slot = row % job->slots;
	bool all = job->three && job->rows.end - first == 3;
	uint32_t i = 0;

	for (i = first; i < job->rows.end; i++, row += dilation) {
		job->row[i] = hold(job, row, slot);
		slot += dilation;
		if (slot >= job->slots)
			slot -= job->slots;
	}
	if (all && window->stride_columns == 1)
		make_columns(job, 1, true, y);
	else if (window->stride_columns == 1)
		make_columns(job, 1, false, y);
	else if (all)
		make_columns(job, 2, true, y);
	else
		make_columns(job, 2, false, y);
}

/* How rows are held; false where they are too long, or there are too many */
static bool choose_numbers(struct job *job, uint32_t width)
{
	const struct tl_window *window = &job->filter->window;
	uint64_t rows = (uint64_t)(window->kernel_rows - 1) *
			window->dilation_rows + 1;
	uint64_t reach = (uint64_t)(window->kernel_columns - 1) *
			 window->dilation_columns;
	uint64_t length = (uint64_t)((width < TL_WIDTH ? TL_WIDTH : width) - 1)
			  * window->stride_columns + reach + 1 + TL_WIDTH;
	uint64_t count = job->x->width;

	if (window->stride_columns > 2 || rows > SLOTS ||
	    length > ROOM / rows || window->pad_columns > length)
		return false;
	if (count > length - window->pad_columns)
		count = length - window->pad_columns;
	job->columns = width;
	job->slots = (uint32_t)rows;
	job->length = (uint32_t)length;
	job->count = (uint32_t)count;
	job->three = window->kernel_rows == 3 && window->kernel_columns == 3 &&
		     window->dilation_columns == 1;
	memset(job->held, 0, job->slots * job->length * sizeof(float));

	return true;
}

static void make_channel(struct job *job, const struct tl_view *y,
			 const struct tl_part *part)
{
	uint32_t row = 0;
	uint32_t i = 0;

	for (i = 0; i < job->slots; i++)
		job->row_in[i] = -1;
	for (row = part->row; row < part->row_end; row++) {
		job->rows = tl_taps_of_row(&job->filter->window, row);
		make_row(job, tl_row(y, job->channel, row));
	}
}

void tl_depthwise(const struct tl_filter *filter, const struct tl_view *x,
		  const struct tl_view *y, const struct tl_part *part)
{
	const struct tl_window *window = &filter->window;
	struct job job;

	/* What rows are held in is left as it is here */
	job.filter = filter;
	job.x = x;
	job.weights = filter->weights;
	if (!choose_numbers(&job, y->width)) {
		tl_conv(filter, x, y, part);
		return;
	}
	for (job.channel = part->channel; job.channel < part->channel_end;
	     job.channel++) {
		job.bias = 0.0f;
		if (filter->bias)
			job.bias += filter->bias[job.channel - part->channel];
		make_channel(&job, y, part);
		job.weights += window->kernel_rows * window->kernel_columns;
	}
}
