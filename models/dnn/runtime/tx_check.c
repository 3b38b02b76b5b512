// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whether an instruction stays inside the arena, whatever it says.
 *
 * Single numbers are bounded first (TX_MAX_INDEX and its kin), so that no sum
 * or product of two of them leaves 64 bits; then every channel, row and column
 * that the layer reads or writes is shown to lie in its view.
 */
#include "tl_taps.h"
#include "tx_code.h"

static uint32_t bytes_of(uint32_t type)
{
	return type == TX_FLOAT32 ? 4 : 1;
}

static bool is_byte(const struct tx_view *view)
{
	return view->type == TX_INT8 || view->type == TX_UINT8;
}

static bool is_float(const struct tx_view *view)
{
	return view->type == TX_FLOAT32;
}

/* From 1 to `most` */
static bool counts(uint32_t value, uint32_t most)
{
	return value && value <= most;
}

static uint64_t elements_of(const struct tx_view *view)
{
	return (uint64_t)view->channels * view->view.slots * view->view.width;
}

/* Lies in the arena; sets its data */
static bool place_view(struct tx_view *view, const struct tx_place *place)
{
	uint32_t room = place->manifest->arena;
	uint64_t plane = (uint64_t)view->view.slots * view->view.width;

	if (view->type > TX_UINT8 || view->offset % bytes_of(view->type) ||
	    view->view.first_channel > TX_MAX_INDEX ||
	    view->view.first_row > TX_MAX_INDEX ||
	    !counts(view->channels, TX_MAX_INDEX) ||
	    !counts(view->view.slots, TX_MAX_INDEX) ||
	    !counts(view->view.width, TX_MAX_INDEX))
		return false;
	/* The first keeps the second within 64 bits */
	if (plane > room ||
	    !tx_inside(view->offset, plane * view->channels *
		       bytes_of(view->type), room))
		return false;
	view->view.data = place->arena + view->offset;

	return true;
}

static bool has_channels(const struct tx_view *view, uint64_t first,
			 uint64_t end)
{
	return first >= view->view.first_channel && first < end &&
	       end <= (uint64_t)view->view.first_channel + view->channels;
}

/* A ring holds any rows, but not more than it has slots */
static bool has_rows(const struct tx_view *view, uint64_t first, uint64_t end)
{
	if (first >= end)
		return false;
	if (view->view.ring)
		return end <= 2ull * TX_MAX_INDEX &&
		       end - first <= view->view.slots;

	return first >= view->view.first_row &&
	       end <= (uint64_t)view->view.first_row + view->view.slots;
}

static bool has_part(const struct tx_view *view, const struct tl_part *part)
{
	return has_channels(view, part->channel, part->channel_end) &&
	       has_rows(view, part->row, part->row_end);
}

/* Constants: `count` elements of `bytes` each at an offset of the arena */
static bool has_region(const struct tx_place *place, uint32_t offset,
		       uint64_t count, uint32_t bytes)
{
	return offset % bytes == 0 && count <= place->manifest->arena &&
	       tx_inside(offset, count * bytes, place->manifest->arena);
}

static bool has_bias(const struct tx_place *place, uint32_t offset,
		     uint64_t count)
{
	return offset == TX_NO_REGION || has_region(place, offset, count, 4);
}

static bool is_window(const struct tl_window *window)
{
	return counts(window->kernel_rows, TX_MAX_KERNEL) &&
	       counts(window->kernel_columns, TX_MAX_KERNEL) &&
	       counts(window->stride_rows, TX_MAX_STEP) &&
	       counts(window->stride_columns, TX_MAX_STEP) &&
	       counts(window->dilation_rows, TX_MAX_STEP) &&
	       counts(window->dilation_columns, TX_MAX_STEP) &&
	       window->pad_rows <= TX_MAX_STEP &&
	       window->pad_columns <= TX_MAX_STEP &&
	       counts(window->in_rows, TX_MAX_INDEX);
}

/*
 * The rows of x that the windows of the part's rows meet, less those that
 * layers take for padding. There may be none.
 */
static bool has_window_rows(const struct tx_step *step)
{
	const struct tl_window *window = &step->window;
	uint64_t lowest = UINT64_MAX;
	uint64_t highest = 0;
	uint32_t row = 0;

	for (row = step->part.row; row < step->part.row_end; row++) {
		struct tl_taps taps = tl_taps_of_row(window, row);
		int64_t step_rows = window->dilation_rows;
		uint64_t first = (uint64_t)(taps.start +
					    taps.first * step_rows);
		uint64_t end = (uint64_t)(taps.start +
					  (int64_t)taps.end * step_rows -
					  step_rows + 1);

		if (taps.first == taps.end)
			continue;
		if (first < lowest)
			lowest = first;
		if (end > highest)
			highest = end;
	}

	return !highest || has_rows(&step->x, lowest, highest);
}

/* The part is in y, its channels and the rows of its windows in x */
static bool pools(const struct tx_step *step)
{
	return is_window(&step->window) && has_part(&step->y, &step->part) &&
	       has_channels(&step->x, step->part.channel,
			    step->part.channel_end) &&
	       has_window_rows(step);
}

static uint64_t channels_of(const struct tl_part *part)
{
	return part->channel_end - part->channel;
}

static uint64_t taps_of(const struct tl_window *window)
{
	return (uint64_t)window->kernel_rows * window->kernel_columns;
}

static bool same_part(const struct tx_view *x, const struct tx_step *step)
{
	return has_part(x, &step->part) &&
	       x->view.width == step->y.view.width;
}

/* Element by element, in any two types */
static bool by_element(const struct tx_step *step)
{
	return has_part(&step->y, &step->part) && same_part(&step->x, step);
}

/* number: inputs and outputs of a group, weights, bias */
static bool check_conv(const struct tx_step *step, const struct tx_place *place,
		       uint32_t weight_bytes)
{
	uint32_t into = step->number[0];
	uint32_t out = step->number[1];
	uint64_t first = 0;
	uint64_t last = 0;

	if (!is_window(&step->window) || !has_part(&step->y, &step->part) ||
	    !counts(into, TX_MAX_INDEX) || !counts(out, TX_MAX_INDEX))
		return false;
	first = step->part.channel / out;
	last = (step->part.channel_end - 1) / out;

	return has_channels(&step->x, first * into, (last + 1) * into) &&
	       has_window_rows(step) &&
	       into * taps_of(&step->window) <= place->manifest->arena &&
	       has_region(place, step->number[2], channels_of(&step->part) *
			  into * taps_of(&step->window), weight_bytes) &&
	       has_bias(place, step->number[3], channels_of(&step->part));
}

static bool check_depthwise(const struct tx_step *step,
			    const struct tx_place *place, uint32_t weight_bytes)
{
	return step->number[0] == 1 && step->number[1] == 1 && pools(step) &&
	       has_region(place, step->number[2], channels_of(&step->part) *
			  taps_of(&step->window), weight_bytes) &&
	       has_bias(place, step->number[3], channels_of(&step->part));
}

/* number: inputs, weights, bias */
static bool check_dense(const struct tx_step *step,
			const struct tx_place *place, uint32_t weight_bytes)
{
	uint64_t inputs = step->number[0];

	return has_part(&step->y, &step->part) &&
	       step->y.view.slots == 1 && step->y.view.width == 1 &&
	       inputs == elements_of(&step->x) &&
	       has_region(place, step->number[1], channels_of(&step->part) *
			  inputs, weight_bytes) &&
	       has_bias(place, step->number[2], channels_of(&step->part));
}

static bool is_flag(uint32_t word)
{
	return word <= 1;
}

/* number: whole, padding behind */
static bool check_average(const struct tx_step *step)
{
	return pools(step) && is_flag(step->number[0]) &&
	       step->number[1] <= TX_MAX_STEP && step->number[2] <= TX_MAX_STEP;
}

/* number: rows of x */
static bool check_global(const struct tx_step *step)
{
	return has_part(&step->y, &step->part) && step->y.view.width == 1 &&
	       step->part.row == 0 && step->part.row_end == 1 &&
	       has_channels(&step->x, step->part.channel,
			    step->part.channel_end) &&
	       has_rows(&step->x, 0, step->number[0]);
}

/* number: from channel */
static bool check_move(const struct tx_step *step)
{
	uint64_t from = step->number[0];

	return has_part(&step->y, &step->part) &&
	       has_rows(&step->x, step->part.row, step->part.row_end) &&
	       has_channels(&step->x, from, from + channels_of(&step->part)) &&
	       step->x.view.width == step->y.view.width;
}

/* number: factor */
static bool check_upsample(const struct tx_step *step)
{
	uint32_t factor = step->number[0];

	return counts(factor, TX_MAX_STEP) &&
	       has_part(&step->y, &step->part) &&
	       has_channels(&step->x, step->part.channel,
			    step->part.channel_end) &&
	       has_rows(&step->x, step->part.row / factor,
			(uint64_t)(step->part.row_end - 1) / factor + 1) &&
	       (uint64_t)step->x.view.width * factor >= step->y.view.width;
}

static bool check_scale(const struct tx_step *step,
			const struct tx_place *place)
{
	return by_element(step) &&
	       has_region(place, step->number[0], channels_of(&step->part),
			  4) &&
	       has_region(place, step->number[1], channels_of(&step->part), 4);
}

/* All elements of both views, one behind the other */
static bool check_count(const struct tx_step *step)
{
	return step->number[0] == elements_of(&step->x) &&
	       step->number[0] == elements_of(&step->y);
}

static bool is_zero(const struct tx_view *view, uint32_t word)
{
	int32_t zero = (int32_t)word;

	return view->type == TX_INT8 ? zero >= -128 && zero <= 127
				     : zero >= 0 && zero <= 255;
}

/* The zeros of x and y, bytes both, as two words */
static bool check_zeros(const struct tx_step *step, const uint32_t *zeros)
{
	return is_byte(&step->x) && is_byte(&step->y) &&
	       is_zero(&step->x, zeros[0]) && is_zero(&step->y, zeros[1]);
}

static bool has_multipliers(const struct tx_step *step)
{
	return step->tail_words == channels_of(&step->part);
}

static bool check_q_add(const struct tx_step *step)
{
	return by_element(step) && same_part(&step->b, step) &&
	       is_byte(&step->b) && is_zero(&step->x, step->number[1]) &&
	       is_zero(&step->b, step->number[3]) &&
	       is_zero(&step->y, step->number[5]);
}

/* A part of a whole tensor and a view of the same type and width */
static bool check_whole(const struct tx_step *step, const struct tx_view *view,
			const struct tx_tensor *tensor)
{
	return has_part(view, &step->part) && view->type == tensor->type &&
	       view->view.width == tensor->columns &&
	       step->part.channel_end <= tensor->channels &&
	       step->part.row_end <= tensor->rows;
}

static bool check_float(const struct tx_step *step,
			const struct tx_place *place)
{
	switch (step->operation) {
	case TX_CONV:
		return check_conv(step, place, 4);
	case TX_DEPTHWISE:
		return check_depthwise(step, place, 4);
	case TX_DENSE:
		return check_dense(step, place, 4);
	case TX_AVERAGE_POOL:
		return check_average(step);
	case TX_GLOBAL_AVERAGE:
		return check_global(step);
	case TX_ADD:
		return by_element(step) && same_part(&step->b, step) &&
		       is_float(&step->b);
	case TX_APPLY:
		return by_element(step) && step->number[0] <= TL_EXP;
	case TX_SCALE:
		return check_scale(step, place);
	case TX_SOFTMAX:
		return check_count(step);
	default:
		return false;
	}
}

static bool check_integers(const struct tx_step *step,
			   const struct tx_place *place)
{
	switch (step->operation) {
	case TX_Q_CONV:
		return check_zeros(step, step->number + 4) &&
		       check_conv(step, place, 1) && has_multipliers(step);
	case TX_Q_DEPTHWISE:
		return check_zeros(step, step->number + 4) &&
		       check_depthwise(step, place, 1) && has_multipliers(step);
	case TX_Q_DENSE:
		return check_zeros(step, step->number + 3) &&
		       check_dense(step, place, 1) && has_multipliers(step);
	case TX_Q_AVERAGE_POOL:
		return check_zeros(step, step->number + 4) &&
		       check_average(step);
	case TX_Q_GLOBAL_AVERAGE:
		return check_zeros(step, step->number + 2) &&
		       check_global(step);
	case TX_Q_ADD:
		return is_byte(&step->x) && is_byte(&step->y) &&
		       check_q_add(step);
	case TX_Q_TABLE:
		return is_byte(&step->x) && is_byte(&step->y) &&
		       by_element(step) &&
		       has_region(place, step->number[0], 256, 1);
	case TX_QUANTIZE:
		return is_float(&step->x) && is_byte(&step->y) &&
		       by_element(step) && is_zero(&step->y, step->number[1]);
	case TX_DEQUANTIZE:
		return is_byte(&step->x) && is_float(&step->y) &&
		       by_element(step) && is_zero(&step->x, step->number[1]);
	default:
		return false;
	}
}

bool tx_check(struct tx_step *step, const struct tx_place *place)
{
	uint32_t which = step->number[0];

	if (step->operation != TX_FETCH && !place_view(&step->x, place))
		return false;
	if (step->operation != TX_EMIT && !place_view(&step->y, place))
		return false;
	if ((step->operation == TX_ADD || step->operation == TX_Q_ADD) &&
	    !place_view(&step->b, place))
		return false;

	switch (step->operation) {
	case TX_FETCH:
		return place->io && which < place->manifest->inputs &&
		       check_whole(step, &step->y,
				   &place->manifest->input[which]);
	case TX_EMIT:
		return place->io && which < place->manifest->outputs &&
		       check_whole(step, &step->x,
				   &place->manifest->output[which]);
	case TX_MAX_POOL:
		return step->x.type == step->y.type && pools(step);
	case TX_MOVE:
		return step->x.type == step->y.type && check_move(step);
	case TX_UPSAMPLE:
		return step->x.type == step->y.type && check_upsample(step);
	case TX_RESHAPE:
		return step->x.type == step->y.type && check_count(step);
	default:
		break;
	}
	if (step->operation >= TX_Q_CONV)
		return check_integers(step, place);

	return is_float(&step->x) && is_float(&step->y) &&
	       check_float(step, place);
}
