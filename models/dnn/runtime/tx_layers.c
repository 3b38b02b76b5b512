// SPDX-License-Identifier: BSD-2-Clause
/* Steps that were checked, handed to the layers */
#include <string.h>

#include "tq_layers.h"
#include "tx_code.h"

static const void *region(const struct tx_place *place, uint32_t offset)
{
	return offset == TX_NO_REGION ? NULL : place->arena + offset;
}

static uint32_t bytes_of(const struct tx_view *view)
{
	return view->type == TX_FLOAT32 ? 4 : 1;
}

static uint8_t *row_of(const struct tx_view *view, uint32_t channel,
		       uint32_t row)
{
	return (uint8_t *)view->view.data +
	       tl_index(&view->view, channel, row) * bytes_of(view);
}

static uint8_t *first_of(const struct tx_view *view, const struct tl_part *part)
{
	return row_of(view, part->channel, part->row);
}

/* Where a row of a whole tensor lies in its buffer */
static size_t whole_at(const struct tx_tensor *tensor, uint32_t channel,
		       uint32_t row, uint32_t bytes)
{
	return ((size_t)channel * tensor->rows + row) * tensor->columns * bytes;
}

static void fetch(const struct tx_step *step, const struct tx_place *place)
{
	const struct tx_tensor *tensor =
		&place->manifest->input[step->number[0]];
	const uint8_t *from = place->io->input[step->number[0]];
	uint32_t bytes = bytes_of(&step->y);
	uint32_t c = 0;
	uint32_t row = 0;

	for (c = step->part.channel; c < step->part.channel_end; c++)
		for (row = step->part.row; row < step->part.row_end; row++)
			memcpy(row_of(&step->y, c, row),
			       from + whole_at(tensor, c, row, bytes),
			       (size_t)tensor->columns * bytes);
}

static void emit(const struct tx_step *step, const struct tx_place *place)
{
	const struct tx_tensor *tensor =
		&place->manifest->output[step->number[0]];
	uint8_t *to = place->io->output[step->number[0]];
	uint32_t bytes = bytes_of(&step->x);
	uint32_t c = 0;
	uint32_t row = 0;

	for (c = step->part.channel; c < step->part.channel_end; c++)
		for (row = step->part.row; row < step->part.row_end; row++)
			memcpy(to + whole_at(tensor, c, row, bytes),
			       row_of(&step->x, c, row),
			       (size_t)tensor->columns * bytes);
}

static struct tl_filter filter_of(const struct tx_step *step,
				  const struct tx_place *place)
{
	return (struct tl_filter){
		.window = step->window,
		.in_channels = step->number[0],
		.out_channels = step->number[1],
		.weights = region(place, step->number[2]),
		.bias = region(place, step->number[3]),
	};
}

static struct tq_number number_of(const struct tx_view *view, uint32_t zero)
{
	return (struct tq_number){
		.zero = (int32_t)zero,
		.is_signed = view->type == TX_INT8,
	};
}

/* Words of the code are floats where a multiplier is meant: the same memory */
static struct tq_filter q_filter_of(const struct tx_step *step,
				    const struct tx_place *place,
				    const uint32_t *numbers)
{
	return (struct tq_filter){
		.window = step->window,
		.in_channels = step->number[0],
		.out_channels = step->number[1],
		.weights = region(place, numbers[0]),
		.bias = region(place, numbers[1]),
		.multipliers = (const void *)step->tail,
		.x = number_of(&step->x, numbers[2]),
		.y = number_of(&step->y, numbers[3]),
	};
}

static struct tq_mean mean_of(const struct tx_step *step,
			      const uint32_t *numbers)
{
	return (struct tq_mean){
		.ratio = tx_float(numbers[0]),
		.x = number_of(&step->x, numbers[1]),
		.y = number_of(&step->y, numbers[2]),
	};
}

static struct tq_real real_of(const struct tx_view *view,
			      const uint32_t *numbers)
{
	return (struct tq_real){
		.scale = tx_float(numbers[0]),
		.number = number_of(view, numbers[1]),
	};
}

static void add(const struct tx_step *step)
{
	tl_add(&step->x.view, &step->b.view, &step->y.view, &step->part);
}

static void q_add(const struct tx_step *step)
{
	struct tq_real real[3] = {
		real_of(&step->x, step->number),
		real_of(&step->b, step->number + 2),
		real_of(&step->y, step->number + 4),
	};

	tq_add(real, &step->x.view, &step->b.view, &step->y.view, &step->part);
}

static void dense(const struct tx_step *step, const struct tx_place *place)
{
	tl_dense(region(place, step->number[1]), region(place, step->number[2]),
		 step->x.view.data, step->number[0],
		 (void *)first_of(&step->y, &step->part),
		 step->part.channel_end - step->part.channel);
}

static void q_dense(const struct tx_step *step, const struct tx_place *place)
{
	struct tq_filter filter = q_filter_of(step, place, step->number + 1);

	tq_dense(&filter, step->x.view.data, step->number[0],
		 first_of(&step->y, &step->part),
		 step->part.channel_end - step->part.channel);
}

static void max_pool(const struct tx_step *step)
{
	if (step->x.type == TX_FLOAT32)
		tl_max_pool(&step->window, &step->x.view, &step->y.view,
			    &step->part);
	else
		tq_max_pool(&step->window, step->x.type == TX_INT8,
			    &step->x.view, &step->y.view, &step->part);
}

static void move(const struct tx_step *step)
{
	if (step->x.type == TX_FLOAT32)
		tl_move(&step->x.view, step->number[0], &step->y.view,
			&step->part);
	else
		tq_move(&step->x.view, step->number[0], &step->y.view,
			&step->part);
}

static void upsample(const struct tx_step *step)
{
	if (step->x.type == TX_FLOAT32)
		tl_upsample(step->number[0], &step->x.view, &step->y.view,
			    &step->part);
	else
		tq_upsample(step->number[0], &step->x.view, &step->y.view,
			    &step->part);
}

static void do_float(const struct tx_step *step, const struct tx_place *place)
{
	const struct tl_view *x = &step->x.view;
	const struct tl_view *y = &step->y.view;
	const uint32_t *number = step->number;
	struct tl_filter filter = { .weights = NULL };

	switch (step->operation) {
	case TX_CONV:
		filter = filter_of(step, place);
		tl_conv(&filter, x, y, &step->part);
		break;
	case TX_DEPTHWISE:
		filter = filter_of(step, place);
		tl_depthwise(&filter, x, y, &step->part);
		break;
	case TX_DENSE:
		dense(step, place);
		break;
	case TX_AVERAGE_POOL:
		tl_average_pool(&step->window, number[0], number + 1, x, y,
				&step->part);
		break;
	case TX_GLOBAL_AVERAGE:
		tl_global_average(number[0], x, y, &step->part);
		break;
	case TX_ADD:
		add(step);
		break;
	case TX_APPLY:
		tl_apply((enum tl_curve)number[0], tx_float(number[1]),
			 tx_float(number[2]), x, y, &step->part);
		break;
	case TX_SCALE:
		tl_scale(region(place, number[0]), region(place, number[1]), x,
			 y, &step->part);
		break;
	case TX_SOFTMAX:
		tl_softmax(x->data, y->data, number[0]);
		break;
	default:
		break;
	}
}

static void do_integers(const struct tx_step *step,
			const struct tx_place *place)
{
	const struct tl_view *x = &step->x.view;
	const struct tl_view *y = &step->y.view;
	const uint32_t *number = step->number;
	struct tq_filter filter = { .weights = NULL };
	struct tq_mean mean = { .ratio = 0.0f };
	struct tq_real real = { .scale = 0.0f };

	switch (step->operation) {
	case TX_Q_CONV:
		filter = q_filter_of(step, place, number + 2);
		tq_conv(&filter, x, y, &step->part);
		break;
	case TX_Q_DEPTHWISE:
		filter = q_filter_of(step, place, number + 2);
		tq_depthwise(&filter, x, y, &step->part);
		break;
	case TX_Q_DENSE:
		q_dense(step, place);
		break;
	case TX_Q_AVERAGE_POOL:
		mean = mean_of(step, number + 3);
		tq_average_pool(&step->window, number[0], number + 1, &mean, x,
				y, &step->part);
		break;
	case TX_Q_GLOBAL_AVERAGE:
		mean = mean_of(step, number + 1);
		tq_global_average(number[0], &mean, x, y, &step->part);
		break;
	case TX_Q_ADD:
		q_add(step);
		break;
	case TX_Q_TABLE:
		tq_table(region(place, number[0]), step->x.type == TX_INT8, x,
			 y, &step->part);
		break;
	case TX_QUANTIZE:
		real = real_of(&step->y, number);
		tq_quantize(&real, x, y, &step->part);
		break;
	case TX_DEQUANTIZE:
		real = real_of(&step->x, number);
		tq_dequantize(&real, x, y, &step->part);
		break;
	default:
		break;
	}
}

void tx_do(const struct tx_step *step, const struct tx_place *place)
{
	switch (step->operation) {
	case TX_FETCH:
		fetch(step, place);
		break;
	case TX_EMIT:
		emit(step, place);
		break;
	case TX_MAX_POOL:
		max_pool(step);
		break;
	case TX_MOVE:
		move(step);
		break;
	case TX_UPSAMPLE:
		upsample(step);
		break;
	case TX_RESHAPE:
		memmove(step->y.view.data, step->x.view.data,
			(size_t)step->number[0] * bytes_of(&step->x));
		break;
	default:
		if (step->operation >= TX_Q_CONV)
			do_integers(step, place);
		else
			do_float(step, place);
		break;
	}
}
