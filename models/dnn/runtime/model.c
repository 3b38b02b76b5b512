// SPDX-License-Identifier: BSD-2-Clause
/*
 * The parser of model files, see ts_model.h.
 *
 * Sums and products of untrusted numbers are 64 bits wide: every factor has
 * been held to TS_MAX_DIM or TS_MAX_VALUES before, so none can wrap.
 */
#include <stdbool.h>
#include <string.h>

#include "ts_model.h"

#define HEADER_SIZE	64
#define LAYER_SIZE	48
#define CRC_OFFSET	12
#define VERSION		1

/* The numbers of one row of the layer table */
struct row {
	uint32_t kind;
	uint32_t out;
	uint32_t kernel;
	uint32_t stride;
	uint32_t pad;
	uint32_t weights_at;
	uint32_t weights;
	uint32_t bias_at;
	uint32_t biases;
};

static uint32_t get16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | get16(p + 2) << 16;
}

static bool all_zero(const uint8_t *p, size_t size)
{
	size_t i = 0;

	for (i = 0; i < size; i++)
		if (p[i])
			return false;

	return true;
}

/* CRC-32 as in zlib, four bits at a time */
static uint32_t crc32_update(uint32_t crc, const uint8_t *p, size_t size)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	size_t i = 0;

	for (i = 0; i < size; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}

	return crc;
}

static uint32_t file_crc(const uint8_t *data, size_t size)
{
	static const uint8_t zeros[4];
	uint32_t crc = UINT32_MAX;

	crc = crc32_update(crc, data, CRC_OFFSET);
	crc = crc32_update(crc, zeros, sizeof(zeros));
	crc = crc32_update(crc, data + CRC_OFFSET + 4, size - CRC_OFFSET - 4);

	return ~crc;
}

size_t ts_values(const struct ts_shape *shape)
{
	return (size_t)shape->channels * shape->height * shape->width;
}

static bool shape_ok(const struct ts_shape *s)
{
	return s->channels && s->channels <= TS_MAX_DIM && s->height &&
	       s->height <= TS_MAX_DIM && s->width && s->width <= TS_MAX_DIM &&
	       (uint64_t)s->channels * s->height * s->width <= TS_MAX_VALUES;
}

static enum ts_status check_header(const uint8_t *data, size_t size)
{
	uint64_t weights_at = 0;
	uint32_t layers = 0;
	uint32_t weights = 0;

	if (size < HEADER_SIZE)
		return TS_TRUNCATED;
	if (memcmp(data, "TSM", 4))
		return TS_BAD_MAGIC;
	if (get16(data + 4) != VERSION || get16(data + 6) != HEADER_SIZE)
		return TS_BAD_VERSION;
	if (get32(data + 8) > size)
		return TS_TRUNCATED;
	if (get32(data + 8) < size)
		return TS_BAD_SIZE;
	if (get32(data + CRC_OFFSET) != file_crc(data, size))
		return TS_BAD_DIGEST;

	layers = get32(data + 16);
	weights = get32(data + 28);
	if (!layers || layers > TS_MAX_LAYERS)
		return TS_BAD_LAYOUT;
	weights_at = HEADER_SIZE + (uint64_t)layers * LAYER_SIZE;
	if (get32(data + 20) != HEADER_SIZE ||
	    get32(data + 24) != weights_at || weights_at + weights != size ||
	    weights % sizeof(float) || !all_zero(data + 48, 16))
		return TS_BAD_LAYOUT;

	return TS_OK;
}

/* The shape of what a window gives when it slides over layer->in */
static enum ts_status slide(struct ts_layer *layer, const struct row *row)
{
	uint32_t height = layer->in.height + 2 * row->pad;
	uint32_t width = layer->in.width + 2 * row->pad;

	if (height < row->kernel || width < row->kernel)
		return TS_BAD_SHAPE;
	layer->out.channels = row->out ? row->out : layer->in.channels;
	layer->out.height = (height - row->kernel) / row->stride + 1;
	layer->out.width = (width - row->kernel) / row->stride + 1;

	return TS_OK;
}

/* Checks a layer's own numbers and finds the shape of its output */
static enum ts_status check_layer(struct ts_layer *layer, const struct row *row)
{
	bool windowed = row->kind == TS_CONV2D || row->kind == TS_MAXPOOL;
	bool weighted = row->kind == TS_CONV2D || row->kind == TS_DENSE;
	uint32_t pad_limit = row->kind == TS_CONV2D ? row->kernel : 1;

	if (windowed) {
		if (!row->kernel || row->kernel > TS_MAX_KERNEL ||
		    !row->stride || row->stride > TS_MAX_KERNEL ||
		    row->pad >= pad_limit)
			return TS_BAD_LAYER;
	} else if (row->kernel || row->stride || row->pad) {
		return TS_BAD_LAYER;
	}
	if (weighted ? !row->out || row->out > TS_MAX_DIM : row->out != 0)
		return TS_BAD_LAYER;

	if (windowed)
		return slide(layer, row);
	layer->out = layer->in;
	if (row->kind == TS_DENSE) {
		layer->out.channels = row->out;
		layer->out.height = 1;
		layer->out.width = 1;
	}

	return TS_OK;
}

/*
 * Checks that the layer's weights and biases lie where the last ones ended,
 * *used floats into the section of count floats, and sets the pointers.
 */
static enum ts_status place_weights(struct ts_layer *layer,
				    const struct row *row, const float *section,
				    size_t count, size_t *used)
{
	uint64_t weights = 0;
	uint64_t biases = row->out;
	uint64_t bias_at = 0;

	if (row->kind == TS_CONV2D)
		weights = (uint64_t)row->out * layer->in.channels *
			  row->kernel * row->kernel;
	else if (row->kind == TS_DENSE)
		weights = (uint64_t)row->out * ts_values(&layer->in);
	bias_at = *used + weights;

	if (row->weights != weights || row->biases != biases ||
	    row->weights_at != (weights ? *used * sizeof(float) : 0) ||
	    row->bias_at != (weights ? bias_at * sizeof(float) : 0) ||
	    bias_at + biases > count)
		return TS_BAD_WEIGHTS;
	layer->weights = section + *used;
	layer->bias = section + bias_at;
	*used = (size_t)(bias_at + biases);

	return TS_OK;
}

static enum ts_status read_row(const uint8_t *p, struct row *row)
{
	row->kind = get32(p);
	row->out = get32(p + 4);
	row->kernel = get32(p + 8);
	row->stride = get32(p + 12);
	row->pad = get32(p + 16);
	row->weights_at = get32(p + 20);
	row->weights = get32(p + 24);
	row->bias_at = get32(p + 28);
	row->biases = get32(p + 32);
	if (row->kind < TS_CONV2D || row->kind > TS_SOFTMAX ||
	    !all_zero(p + 36, LAYER_SIZE - 36))
		return TS_BAD_LAYER;

	return TS_OK;
}

/* One layer; its input is layer->in */
static enum ts_status read_layer(struct ts_layer *layer, const uint8_t *p,
				 const float *section, size_t count,
				 size_t *used)
{
	enum ts_status status = TS_OK;
	struct row row = { 0 };

	status = read_row(p, &row);
	if (!status)
		status = check_layer(layer, &row);
	if (!status)
		status = place_weights(layer, &row, section, count, used);
	if (!status && !shape_ok(&layer->out))
		status = TS_BAD_SHAPE;
	layer->kind = row.kind;
	layer->window.kernel = row.kernel;
	layer->window.stride = row.stride;
	layer->window.pad = row.pad;

	return status;
}

/* A layer needs its input and, unless it works in place, its output */
static size_t layer_values(const struct ts_layer *layer)
{
	size_t values = ts_values(&layer->in);

	if (layer->kind != TS_RELU && layer->kind != TS_SOFTMAX)
		values += ts_values(&layer->out);

	return values;
}

enum ts_status ts_model_parse(const void *data, size_t size,
			      struct ts_model *model)
{
	const uint8_t *bytes = data;
	const float *section = NULL;
	const struct ts_shape *shape = &model->input;
	enum ts_status status = TS_OK;
	size_t count = 0;
	size_t used = 0;
	uint32_t i = 0;

	memset(model, 0, sizeof(*model));
	if (!data || (uintptr_t)data % sizeof(float))
		return TS_BAD_ARENA;
	status = check_header(bytes, size);
	if (status)
		return status;

	model->layer_count = get32(bytes + 16);
	model->weight_bytes = get32(bytes + 28);
	model->input.channels = get32(bytes + 32);
	model->input.height = get32(bytes + 36);
	model->input.width = get32(bytes + 40);
	if (!shape_ok(&model->input))
		return TS_BAD_SHAPE;
	model->arena_values = ts_values(&model->input);
	section = (const float *)(const void *)(bytes + get32(bytes + 24));
	count = model->weight_bytes / sizeof(float);

	for (i = 0; i < model->layer_count; i++) {
		struct ts_layer *layer = model->layers + i;

		layer->in = *shape;
		status = read_layer(layer, bytes + HEADER_SIZE + i * LAYER_SIZE,
				    section, count, &used);
		if (status)
			return status;
		if (model->arena_values < layer_values(layer))
			model->arena_values = layer_values(layer);
		shape = &layer->out;
	}

	if (used != count)
		return TS_BAD_WEIGHTS;
	model->outputs = ts_values(shape);
	if (model->outputs != get32(bytes + 44))
		return TS_BAD_SHAPE;

	return TS_OK;
}
