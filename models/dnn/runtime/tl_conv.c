// SPDX-License-Identifier: BSD-2-Clause
/*
 * Convolution: TL_CHANNELS output channels by MANY columns at a time. A weight of
 * every channel meets one input number: widths and strides are all alike to this,
 * where vectors along a row would not fill up in small planes. Sums go kernel row
 * by kernel row, of each channel by channel: a row's place is worked out once.
 */
#if defined(__aarch64__) && !defined(__clang__)
/* Moving instructions before registers are given out takes more than there are */
#pragma GCC optimize("no-schedule-insns")
#endif

#include "tl_taps.h"
#include "tl_wide.h"

/* Columns at a time: as many as have room in registers, two vectors each */
#if TL_WIDTH == 16
#define MANY	14
#define FEW	7
#elif TL_WIDTH == 8
#define MANY	6
#define FEW	4
#elif defined(__aarch64__)
#define MANY	12
#define FEW	4
#else
#define MANY	4
#define FEW	4
#endif

/* So many of a block's first and last columns may meet padding, where it pays */
#define EDGE	2
#define EDGES	(TL_WIDTH > TL_HALF)

/* What is made now: some channels of one row, or of rows in one piece */
struct job {
	const struct tl_filter *filter;
	const struct tl_view *x;
	const float *weights;
	size_t block[TL_BLOCKS];	/* where theirs begin; the last again */
	uint32_t channels;	/* a multiple of TL_LANES, or fewer */
	uint32_t first_input;	/* channel of the group */
	uint32_t row;		/* of the output */
	uint32_t in_width;
	uint32_t out_width;
	struct tl_taps rows;
	float bias[TL_CHANNELS];
	float zero;	/* padding: changes no sum, for none is -0 */
	float *to[TL_CHANNELS];	/* rows of the output */
};

/* Where columns are taken from, and how: constants where it is inlined */
struct way {
	uint32_t count;		/* columns */
	uint32_t stride;
	uint32_t across;	/* taps */
	bool edge;		/* columns at both ends have fewer */
};

/* A kernel row on the first channel of the group, and from there to the next */
static const float *input_row(const struct job *job, uint32_t kernel_row)
{
	return tl_row(job->x, job->first_input,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->filter->window.dilation_rows));
}

static size_t plane_of(const struct tl_view *view)
{
	return (size_t)view->slots * view->width;
}

#if TL_WIDTH == TL_HALF
/* A function, so that the four are loaded at once and not one by one */
static inline void meet_four(struct tl_sums *sums, const struct tl_sums *weight,
			     tl_half x)
{
	tl_meet(&sums[0], weight, x[0]);
	tl_meet(&sums[1], weight, x[1]);
	tl_meet(&sums[2], weight, x[2]);
	tl_meet(&sums[3], weight, x[3]);
}
#endif

/* Tap `j` of all columns; `ends` are the taps that columns of an edge have */
static inline __attribute__((always_inline)) void
meet(const struct way *way, const struct tl_taps ends[2 * EDGE], uint32_t j,
     const float *x, const float *zero, const struct tl_sums *weight,
     struct tl_sums *sums)
{
	uint32_t last = way->count - EDGE;
	uint32_t p = 0;

#if TL_WIDTH == TL_HALF
	if (!way->edge && way->count >= TL_HALF) {
#pragma GCC unroll 4
		for (p = 0; p < way->count; p += TL_HALF)
			meet_four(sums + p, weight,
				  tl_gather(x + p * way->stride, way->stride));
		return;
	}
#endif
#pragma GCC unroll 16
	for (p = 0; p < way->count; p++) {
		const float *at = x + p * way->stride;

		if (way->edge && p < EDGE)
			at = j < ends[p].first ? zero : at;
		if (way->edge && p >= last)
			at = j >= ends[EDGE + p - last].end ? zero : at;
		tl_meet(&sums[p], weight, *at);
	}
}

static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, struct way way,
      const struct tl_taps *ends, struct tl_sums *sums)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t dilation = window->dilation_columns;
	int64_t start = (int64_t)column * way.stride - window->pad_columns;
	size_t plane = plane_of(job->x);
	size_t taps = (size_t)window->kernel_rows * way.across * TL_LANES;
	uint32_t i = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i) + start;
		const float *w = job->weights +
				 (size_t)i * way.across * TL_LANES;
		uint32_t c = 0;

		for (c = job->filter->in_channels; c; c--) {
			const float *from = x;
			const float *v = w;
			uint32_t j = 0;

#if TL_WIDTH > TL_HALF
			/* Planes are too far apart for a processor to guess */
			__builtin_prefetch(x + 8 * plane);
			__builtin_prefetch(x + 8 * plane + MANY - 1);
#endif
			do {
				struct tl_sums weight =
					tl_load_blocks(v, job->block);

				meet(&way, ends, j, from, &job->zero,
				     &weight, sums);
				from += dilation;
				v += TL_LANES;
			} while (++j < way.across);
			x += plane;
			w += taps;
		}
	}
}

/* One column, padding or not, of any number of channels */
static void put_single(const struct job *job, uint32_t column)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t lanes = job->channels < TL_LANES ? job->channels : TL_LANES;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->in_width);
	uint32_t dilation = window->dilation_columns;
	uint32_t across = window->kernel_columns;
	uint32_t taps = columns.end - columns.first;
	size_t plane = plane_of(job->x);
	float each[TL_CHANNELS];
	struct tl_sums sums;
	uint32_t lane = 0;
	uint32_t i = 0;
	uint32_t c = 0;
	uint32_t j = 0;

	memcpy(&sums, job->bias, sizeof(sums));
	memcpy(each, job->bias, sizeof(each));
	for (i = job->rows.first; i < job->rows.end; i++) {
		const float *x = input_row(job, i) + columns.start;
		const float *w = job->weights + (size_t)i * across * lanes;

		for (c = job->filter->in_channels; c; c--) {
			const float *from = x + (int64_t)columns.first *
					    dilation;
			const float *v = w + (size_t)columns.first * lanes;

			for (j = taps; j && lanes == TL_LANES; j--) {
				struct tl_sums weight =
					tl_load_blocks(v, job->block);

				tl_meet(&sums, &weight, *from);
				from += dilation;
				v += TL_LANES;
			}
			for (; j; j--, from += dilation, v += lanes)
				tl_meet_some(each, v, lanes, *from);
			x += plane;
			w += (size_t)window->kernel_rows * across * lanes;
		}
	}
	if (lanes == TL_LANES)
		memcpy(each, &sums, sizeof(each));
	for (lane = 0; lane < job->channels; lane++)
		job->to[lane][column] = each[lane];
}

static inline __attribute__((always_inline)) void
put(const struct job *job, uint32_t column, struct way way)
{
	struct tl_taps ends[2 * EDGE];
	struct tl_sums sums[MANY];
	struct tl_sums bias;
	uint32_t p = 0;

	memcpy(&bias, job->bias, sizeof(bias));
#pragma GCC unroll 16
	for (p = 0; p < way.count; p++)
		sums[p] = bias;
	for (p = 0; way.edge && p < 2 * EDGE; p++)
		ends[p] = tl_taps_of_column(&job->filter->window, column +
					    (p < EDGE ? p : way.count - 2 * EDGE
					     + p), job->in_width);
	inner(job, column, way, ends, sums);
	tl_store_sums(job->to, job->channels, column, way.count, sums);
}

static inline __attribute__((always_inline)) void
put_any(const struct job *job, uint32_t column, uint32_t count, bool edge)
{
	uint32_t stride = job->filter->window.stride_columns;
	uint32_t across = job->filter->window.kernel_columns;

	if (stride == 1 && across == 1 && !edge)
		put(job, column, (struct way){ count, 1, 1, edge });
	else if (stride == 1)
		put(job, column, (struct way){ count, 1, across, edge });
	else if (stride == 2 && !edge)
		put(job, column, (struct way){ count, 2, across, edge });
	else
		put(job, column, (struct way){ count, stride, across, edge });
}

/* MANY or FEW columns, of which some may meet padding where `edge` */
static void put_block(const struct job *job, uint32_t column, uint32_t count,
		      bool edge)
{
	if (count == MANY && !edge)
		put_any(job, column, MANY, false);
	else if (count == MANY)
		put_any(job, column, MANY, true);
	else if (!edge)
		put_any(job, column, FEW, false);
	else
		put_any(job, column, FEW, true);
}

/* The channels of one row */
static void make_row(const struct job *job)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t width = job->out_width;
	uint32_t begin = 0;
	uint32_t end = width;
	uint32_t column = 0;
	uint32_t from = 0;
	uint32_t to = 0;

	tl_columns_inside(window, job->in_width, width, &from, &to);
	if (job->channels < TL_LANES) {
		begin = width;
	} else if (!EDGES || window->pad_columns > EDGE * window->stride_columns ||
	    width - to > EDGE || width < FEW) {
		begin = to - from < FEW ? width : from;
		end = to - from < FEW ? width : to;
	}
	for (column = 0; column < begin; column++)
		put_single(job, column);
	while (column < end) {
		uint32_t left = end - column;
		uint32_t count = left < MANY ? FEW : MANY;

		/* What is left, and some again: cheaper than one by one */
		if (left < FEW)
			column = end - FEW;
		put_block(job, column, count, EDGES &&
			  (column < from || column + count > to));
		column += count;
	}
	for (; column < width; column++)
		put_single(job, column);
}

static void make_rows(struct job *job, const struct tl_view *y,
		      const struct tl_part *part, uint32_t channel)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t times = tl_is_flat(window, job->x, y, part) ?
			 part->row_end - part->row : 1;
	uint32_t lane = 0;

	job->in_width = job->x->width * times;
	job->out_width = y->width * times;
	for (job->row = part->row; job->row < part->row_end;
	     job->row += times) {
		job->rows = tl_taps_of_row(window, job->row);
		for (lane = 0; lane < job->channels; lane++)
			job->to[lane] = tl_row(y, channel + lane, job->row);
		make_row(job);
	}
}

/* How many of the channels that are left are made at a time */
static void choose_channels(struct job *job, size_t taps, uint32_t left)
{
	uint32_t blocks = left / TL_LANES;
	uint32_t b = 0;

	if (blocks > TL_BLOCKS)
		blocks = TL_BLOCKS;
	job->channels = blocks ? blocks * TL_LANES : left;
	for (b = 0; b < TL_BLOCKS; b++)
		job->block[b] = taps * TL_LANES *
				(b < blocks ? b : blocks - !!blocks);
}

void tl_conv(const struct tl_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part)
{
	size_t taps = (size_t)filter->window.kernel_rows *
		      filter->window.kernel_columns * filter->in_channels;
	struct job job = { .filter = filter, .x = x };
	uint32_t channel = part->channel;
	uint32_t i = 0;

	job.weights = filter->weights;
	while (channel < part->channel_end) {
		uint32_t group = channel / filter->out_channels;
		uint32_t left = (group + 1) * filter->out_channels - channel;

		if (left > part->channel_end - channel)
			left = part->channel_end - channel;
		choose_channels(&job, taps, left);
		job.first_input = group * filter->in_channels;
			for (i = 0; filter->bias && i < job.channels; i++)
			job.bias[i] = filter->bias[channel - part->channel + i]
				      + 0.0f;
		make_rows(&job, y, part, channel);
		job.weights += taps * job.channels;
		channel += job.channels;
	}
}
