// SPDX-License-Identifier: BSD-2-Clause
/* Convolution of bytes: TL_LANES output channels by as many columns at a time */
#include "tl_taps.h"
#include "tq_vector.h"

/* As many as have room in registers, two vectors of sums each */
#ifdef __aarch64__
#define PIXELS	8
#else
#define PIXELS	4
#endif
#define FEW	4

/* What is made now: some lanes of one row, or of rows that lie in one piece */
struct job {
	const struct tq_filter *filter;
	const struct tl_view *x;
	const int8_t *weights;	/* of the lanes */
	uint32_t lanes;
	uint32_t first_input;	/* channel of the group */
	uint32_t row;		/* of the output */
	uint32_t in_width;
	uint32_t out_width;
	struct tl_taps rows;
	struct tq_centre centre;
	struct tq_range range;
	struct tq_sums bias;
	struct tq_multipliers multipliers;
};

/* A kernel row on the first channel of the group, and from there to the next */
static const uint8_t *input_row(const struct job *job, uint32_t kernel_row)
{
	return tq_row(job->x, job->first_input,
		      (uint32_t)(job->rows.start + (int64_t)kernel_row *
				 job->filter->window.dilation_rows));
}

static size_t plane_of(const struct tl_view *view)
{
	return (size_t)view->slots * view->width;
}

/* `count` columns (8 or 4) from `column` on, none of whose windows meets padding */
static inline __attribute__((always_inline)) void
inner(const struct job *job, uint32_t column, uint32_t stride, uint32_t across,
      uint32_t count, struct tq_sums *sums)
{
	const struct tl_window *window = &job->filter->window;
	struct tq_centre centre = job->centre;
	uint32_t dilation = window->dilation_columns;
	uint32_t start = column * stride - window->pad_columns;
	size_t plane = plane_of(job->x);
	size_t taps = (size_t)window->kernel_rows * across * TL_LANES;
	uint32_t i = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const uint8_t *row = input_row(job, i) + start;
		const int8_t *w = job->weights + (size_t)i * across * TL_LANES;
		uint32_t c = job->filter->in_channels;

		/* Where channels are taken by two, the last may stand alone */
		while (c) {
			uint32_t more = c < TQ_CHANNELS ? 0 : TQ_CHANNELS - 1;
			tq_shorts mask = tq_all((int16_t)-more);
			const uint8_t *from = row;
			const int8_t *v = w;
			uint32_t j = across;

			do {
				struct tq_two weight = tq_two_of(
					tq_load_weights(v),
					tq_load_weights(v + more * taps) &
					mask);
				struct tq_two x = tq_two_of(
					tq_load_centred(&centre, from, stride,
							count),
					tq_load_centred(&centre, from +
							more * plane, stride,
							count));

				TQ_MEET(&sums[0], weight, x, 0);
				TQ_MEET(&sums[1], weight, x, 1);
				TQ_MEET(&sums[2], weight, x, 2);
				TQ_MEET(&sums[3], weight, x, 3);
				if (count == 8) {
					TQ_MEET(&sums[4], weight, x, 4);
					TQ_MEET(&sums[5], weight, x, 5);
					TQ_MEET(&sums[6], weight, x, 6);
					TQ_MEET(&sums[7], weight, x, 7);
				}
				from += dilation;
				v += TL_LANES;
			} while (--j);
			row += (more + 1) * plane;
			w += (more + 1) * taps;
			c -= more + 1;
		}
	}
}

/* The taps of one column, padding or not, of `lanes` lanes */
static inline __attribute__((always_inline)) void
add_column(const struct job *job, uint32_t column, uint32_t lanes,
	   struct tq_sums *sums)
{
	const struct tl_window *window = &job->filter->window;
	struct tl_taps columns = tl_taps_of_column(window, column,
						   job->in_width);
	size_t taps = (size_t)window->kernel_rows * window->kernel_columns;
	size_t plane = plane_of(job->x);
	int8_t some[TL_LANES] = { 0 };
	uint32_t i = 0;
	uint32_t c = 0;
	uint32_t j = 0;

	for (i = job->rows.first; i < job->rows.end; i++) {
		const uint8_t *x = input_row(job, i);
		const int8_t *v = job->weights + lanes *
				  ((size_t)i * window->kernel_columns);

		for (c = 0; c < job->filter->in_channels; c++, x += plane)
		for (j = columns.first; j < columns.end; j++) {
			const int8_t *w = v + lanes * (c * taps + j);
			uint8_t byte = x[columns.start + (int64_t)j *
					 window->dilation_columns];

			if (lanes < TL_LANES)
				w = memcpy(some, w, lanes);
			tq_add_products(sums, tq_load_weights(w),
					tq_all((int16_t)tq_centred(&job->centre,
								   byte)));
		}
	}
}

static void put_single(const struct job *job, uint8_t *rows[TL_LANES],
		       uint32_t column)
{
	struct tq_sums sums = job->bias;
	uint8_t bytes[TL_LANES];
	uint32_t lane = 0;

	if (job->lanes == TL_LANES)
		add_column(job, column, TL_LANES, &sums);
	else
		add_column(job, column, job->lanes, &sums);
	tq_result(&job->range, &sums, &job->multipliers, bytes);
	for (lane = 0; lane < job->lanes; lane++)
		rows[lane][column] = bytes[lane];
}

/* Four columns of all lanes */
static inline void put_four(const struct job *job, uint8_t *rows[TL_LANES],
			    uint32_t column, const struct tq_sums sums[FEW])
{
	tq_ints low = tq_four(&job->range, job->multipliers.low, sums[0].low,
			      sums[1].low, sums[2].low, sums[3].low);
	tq_ints high = tq_four(&job->range, job->multipliers.high,
			       sums[0].high, sums[1].high, sums[2].high,
			       sums[3].high);
	uint32_t lane = 0;

#pragma GCC unroll 4
	for (lane = 0; lane < 4; lane++) {
		int32_t words[2] = { low[lane], high[lane] };

		__builtin_memcpy(rows[lane] + column, &words[0], 4);
		__builtin_memcpy(rows[lane + 4] + column, &words[1], 4);
	}
}

static inline __attribute__((always_inline)) void
put_many(const struct job *job, uint8_t *rows[TL_LANES], uint32_t column,
	 uint32_t count)
{
	uint32_t stride = job->filter->window.stride_columns;
	uint32_t across = job->filter->window.kernel_columns;
	struct tq_sums sums[8];
	uint32_t p = 0;

#pragma GCC unroll 8
	for (p = 0; p < count; p++)
		sums[p] = job->bias;
	if (stride == 1 && across == 1)
		inner(job, column, 1, 1, count, sums);
	else if (stride == 1)
		inner(job, column, 1, across, count, sums);
	else if (stride == 2)
		inner(job, column, 2, across, count, sums);
	else
		inner(job, column, stride, across, count, sums);
#pragma GCC unroll 2
	for (p = 0; p < count; p += FEW)
		put_four(job, rows, column + p, sums + p);
}

/* The lanes of one row, from `channel` on */
static void make_row(const struct job *job, const struct tl_view *y,
		     uint32_t channel)
{
	uint8_t *rows[TL_LANES] = { NULL };
	uint32_t column = 0;
	uint32_t lane = 0;
	uint32_t from = 0;
	uint32_t to = 0;

	for (lane = 0; lane < job->lanes; lane++)
		rows[lane] = tq_row(y, channel + lane, job->row);
	tl_columns_inside(&job->filter->window, job->in_width, job->out_width,
			  &from, &to);
	if (job->lanes < TL_LANES || to - from < FEW)
		from = to = job->out_width;

	for (column = 0; column < from; column++)
		put_single(job, rows, column);
	for (column = from; column + PIXELS <= to; column += PIXELS)
		put_many(job, rows, column, PIXELS);
	for (; column + FEW <= to; column += FEW)
		put_many(job, rows, column, FEW);
	/* What is left, and some again: cheaper than one by one */
	if (column < to)
		put_many(job, rows, to - FEW, FEW);
	for (column = to; column < job->out_width; column++)
		put_single(job, rows, column);
}

static void make_rows(struct job *job, const struct tl_view *y,
		      const struct tl_part *part, uint32_t channel)
{
	const struct tl_window *window = &job->filter->window;
	bool flat = tl_is_flat(window, job->x, y, part);
	uint32_t times = flat ? part->row_end - part->row : 1;

	job->in_width = job->x->width * times;
	job->out_width = y->width * times;
	for (job->row = part->row; job->row < part->row_end;
	     job->row += times) {
		job->rows = tl_taps_of_row(window, job->row);
		make_row(job, y, channel);
	}
}

void tq_conv(const struct tq_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part)
{
	size_t taps = (size_t)filter->window.kernel_rows *
		      filter->window.kernel_columns * filter->in_channels;
	struct job job = {
		.filter = filter,
		.x = x,
		.weights = filter->weights,
		.centre = tq_centre_of(&filter->x),
		.range = tq_range_of(&filter->y),
	};
	uint32_t channel = part->channel;

	while (channel < part->channel_end) {
		uint32_t group = channel / filter->out_channels;
		uint32_t left = (group + 1) * filter->out_channels - channel;
		uint32_t done = channel - part->channel;

		if (left > part->channel_end - channel)
			left = part->channel_end - channel;
		job.lanes = left < TL_LANES ? left : TL_LANES;
		job.first_input = group * filter->in_channels;
		job.bias = tq_load_sums(filter->bias ? filter->bias + done : NULL,
					job.lanes);
		job.multipliers = tq_load_multipliers(filter->multipliers + done,
						      job.lanes);
		make_rows(&job, y, part, channel);
		job.weights += taps * job.lanes;
		channel += job.lanes;
	}
}
