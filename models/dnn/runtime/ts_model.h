/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A model file, checked and ready to run.
 *
 * The file format is described in kit/tessera/dnn/format.py. The parser checks
 * every size, offset and count before it is used; a struct ts_model points
 * into the file's memory, which must stay, unchanged, as long as it is in use.
 * Nothing here allocates or keeps state.
 */
#ifndef TS_MODEL_H
#define TS_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "ts_ops.h"

#define TS_MAX_LAYERS	32
#define TS_MAX_DIM	4096
#define TS_MAX_KERNEL	64
#define TS_MAX_VALUES	(1u << 24)

/* What is wrong; 1 to 9 as class Status in format.py */
enum ts_status {
	TS_OK = 0,
	TS_TRUNCATED = 1,	/* shorter than its header says */
	TS_BAD_MAGIC = 2,	/* not a model file */
	TS_BAD_VERSION = 3,	/* of an unknown version */
	TS_BAD_SIZE = 4,	/* longer than its header says */
	TS_BAD_DIGEST = 5,	/* the checksum does not match */
	TS_BAD_LAYOUT = 6,	/* the sections are not where they must be */
	TS_BAD_LAYER = 7,	/* a layer of unknown kind or with wrong numbers */
	TS_BAD_SHAPE = 8,	/* a tensor that is empty, too large or misfit */
	TS_BAD_WEIGHTS = 9,	/* weights beyond the file, or not in order */
	TS_BAD_ARENA = 10,	/* arena or file missing, unaligned or too small */
};

enum ts_kind {
	TS_CONV2D = 1,
	TS_MAXPOOL = 2,
	TS_DENSE = 3,
	TS_RELU = 4,
	TS_SOFTMAX = 5,
};

struct ts_layer {
	uint32_t kind;
	struct ts_window window;
	struct ts_shape in;
	struct ts_shape out;
	const float *weights;
	const float *bias;
};

struct ts_model {
	struct ts_shape input;
	size_t outputs;		/* values in the output */
	size_t arena_values;	/* floats that ts_run() needs */
	size_t weight_bytes;
	uint32_t layer_count;
	struct ts_layer layers[TS_MAX_LAYERS];
};

/* Values in a tensor; shapes of a parsed model have at most TS_MAX_VALUES */
size_t ts_values(const struct ts_shape *shape);

/*
 * Checks the file of size bytes at data (aligned for float) and describes it
 * in *model, which is only meaningful when TS_OK is returned.
 */
enum ts_status ts_model_parse(const void *data, size_t size,
			      struct ts_model *model);

/*
 * Runs the model on the input that lies at the start of the arena (aligned for
 * float). The input is overwritten; *output points to model->outputs values
 * inside the arena.
 */
enum ts_status ts_run(const struct ts_model *model, void *arena,
		      size_t arena_size, float **output);

#endif /* TS_MODEL_H */
