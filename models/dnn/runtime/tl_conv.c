// SPDX-License-Identifier: BSD-2-Clause
/*
 * Convolution: TL_LANES output channels by PIXELS columns at a time.
 *
 * A weight of every lane meets one input number: all widths, strides and
 * paddings are alike to this, where vectors along a row would not fill up in
 * the small planes of late layers.
 */
#include "tl_layers.h"
#include "tl_vector.h"

#define PIXELS	8

/* What is made now: some lanes of one row */
struct job {
	const struct tl_filter *filter;
	const struct tl_view *x;
	const float *weights;	/* of the lanes */
	uint32_t lanes;
	uint32_t first_input;	/* channel of the group */
	uint32_t row;		/* of the output */
};

/* Kernel rows whose input row exists: [first, end) */
static void rows_inside(const struct tl_window *window, uint32_t row,
			uint32_t *first, uint32_t *end)
{
	int64_t top = (int64_t)row * window->stride_rows - window->pad_rows;
	uint32_t i = 0;

	*first = window->kernel_rows;
	*end = 0;
	for (i = 0; i < window->kernel_rows; i++) {
		int64_t at = top + (int64_t)i * window->dilation_rows;

		if (at < 0 || at >= window->in_rows)
			continue;
		if (*first > i)
			*first = i;
		*end = i + 1;
	}
}

static const float *input_row(const struct job *job, uint32_t channel,
			      uint32_t kernel_row)
{
	const struct tl_window *window = &job->filter->window;

	return tl_row(job->x, job->first_input + channel,
		      job->row * window->stride_rows +
		      kernel_row * window->dilation_rows - window->pad_rows);
}

/* PIXELS columns from `column` on, none of whose windows meets padding */
static void inner(const struct job *job, uint32_t column,
		  tl_vector sums[PIXELS])
{
	const struct tl_window *window = &job->filter->window;
	uint32_t taps = window->kernel_rows * window->kernel_columns;
	uint32_t stride = window->stride_columns;
	uint32_t start = column * stride - window->pad_columns;
	uint32_t first = 0;
	uint32_t end = 0;
	uint32_t c = 0;
	uint32_t i = 0;
	uint32_t j = 0;
	uint32_t p = 0;

	rows_inside(window, job->row, &first, &end);
	for (c = 0; c < job->filter->in_channels; c++) {
		const float *w = job->weights + (size_t)c * taps * TL_LANES;

		for (i = first; i < end; i++) {
			const float *x = input_row(job, c, i) + start;
			const float *v = w + (size_t)i * TL_LANES *
					     window->kernel_columns;

			for (j = 0; j < window->kernel_columns; j++) {
				tl_vector weight = tl_load(v + j * TL_LANES);

				for (p = 0; p < PIXELS; p++)
					sums[p] += weight * x[p * stride];
				x += window->dilation_columns;
			}
		}
	}
}

/* Any number of lanes, one column, padding or not */
static void single(const struct job *job, uint32_t column, tl_vector *sum)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t taps = window->kernel_rows * window->kernel_columns;
	int64_t left = (int64_t)column * window->stride_columns -
		       window->pad_columns;
	uint32_t first = 0;
	uint32_t end = 0;
	uint32_t c = 0;
	uint32_t i = 0;
	uint32_t j = 0;

	rows_inside(window, job->row, &first, &end);
	for (c = 0; c < job->filter->in_channels; c++) {
		const float *w = job->weights + (size_t)c * taps * job->lanes;

		for (i = first; i < end; i++) {
			const float *x = input_row(job, c, i);
			const float *v = w + (size_t)i * job->lanes *
					     window->kernel_columns;

			for (j = 0; j < window->kernel_columns; j++) {
				int64_t at = left + (int64_t)j *
						    window->dilation_columns;

				if (at < 0 || at >= job->x->width)
					continue;
				*sum += tl_load_some(v + j * job->lanes,
						     job->lanes) * x[at];
			}
		}
	}
}

/* Columns [from, to) of which no window meets padding */
static void columns_inside(const struct job *job, uint32_t out_width,
			   uint32_t *from, uint32_t *to)
{
	const struct tl_window *window = &job->filter->window;
	uint32_t stride = window->stride_columns;
	int64_t reach = (int64_t)(window->kernel_columns - 1) *
			window->dilation_columns;
	int64_t last = (int64_t)job->x->width + window->pad_columns - reach - 1;

	*from = (window->pad_columns + stride - 1) / stride;
	*to = last < 0 ? 0 : (uint32_t)(last / stride) + 1;
	if (*to > out_width)
		*to = out_width;
	if (*from > *to)
		*from = *to;
}

/* The lanes of one row, from `channel` on */
static void make_row(const struct job *job, const struct tl_view *y,
		     uint32_t channel, const tl_vector *bias)
{
	float *rows[TL_LANES] = { NULL };
	tl_vector sums[PIXELS];
	uint32_t from = 0;
	uint32_t to = 0;
	uint32_t column = 0;
	uint32_t lane = 0;
	uint32_t p = 0;

	for (lane = 0; lane < job->lanes; lane++)
		rows[lane] = tl_row(y, channel + lane, job->row);
	columns_inside(job, y->width, &from, &to);

	while (column < y->width) {
		bool many = job->lanes == TL_LANES && column >= from &&
			    column + PIXELS <= to;
		uint32_t count = many ? PIXELS : 1;

		for (p = 0; p < count; p++)
			sums[p] = *bias;
		if (many)
			inner(job, column, sums);
		else
			single(job, column, &sums[0]);
		for (lane = 0; lane < job->lanes; lane++)
			for (p = 0; p < count; p++)
				rows[lane][column + p] = sums[p][lane];
		column += count;
	}
}

void tl_conv(const struct tl_filter *filter, const struct tl_view *x,
	     const struct tl_view *y, const struct tl_part *part)
{
	size_t taps = (size_t)filter->window.kernel_rows *
		      filter->window.kernel_columns * filter->in_channels;
	struct job job = { .filter = filter, .x = x };
	uint32_t channel = part->channel;

	job.weights = filter->weights;
	while (channel < part->channel_end) {
		uint32_t group = channel / filter->out_channels;
		uint32_t left = (group + 1) * filter->out_channels - channel;
		tl_vector bias;

		if (left > part->channel_end - channel)
			left = part->channel_end - channel;
		job.lanes = left < TL_LANES ? left : TL_LANES;
		job.first_input = group * filter->in_channels;
		bias = tl_load_some(filter->bias + channel - part->channel,
				    job.lanes);
		for (job.row = part->row; job.row < part->row_end; job.row++)
			make_row(&job, y, channel, &bias);
		job.weights += taps * job.lanes;
		channel += job.lanes;
	}
}
