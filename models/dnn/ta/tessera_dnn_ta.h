/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the inference TA and its clients agree on.
 *
 * Every session starts without a model. Results of commands:
 *   TEE_ERROR_BAD_PARAMETERS  wrong parameter types, counts or sizes
 *   TEE_ERROR_BAD_STATE       INFER or INFO before LOAD
 *   TEE_ERROR_SHORT_BUFFER    output too small; its size is set to the need
 *   TEE_ERROR_EXCESS_DATA     a model file over TESSERA_DNN_MAX_FILE
 *   TEE_ERROR_BAD_FORMAT      a model file that cannot be used
 *   TEE_ERROR_OUT_OF_MEMORY   the TA's heap does not hold the model
 *   TEE_ERROR_NOT_SUPPORTED   unknown command
 */
#ifndef TESSERA_DNN_TA_H
#define TESSERA_DNN_TA_H

#include <stdint.h>

#define TESSERA_DNN_UUID \
	{ 0x2c3d9a52, 0x6f0e, 0x4b8a, \
		{ 0x9d, 0x41, 0x70, 0xc5, 0xe1, 0xa8, 0xb3, 0xf6 } }

/* Largest model file, in bytes: two of them fit into the heap while loading */
#define TESSERA_DNN_MAX_FILE	(448 * 1024)

/*
 * Loads a model; the one loaded before stays in use when this fails.
 * [in]  memref[0]: the model file
 * [out] value[1].a: enum ts_status of the file
 */
#define TESSERA_DNN_CMD_LOAD	0

/*
 * Runs the model on images of float32 values that follow each other.
 * [in]  memref[0]: the images
 * [out] memref[1]: float32 results, one row for each image
 * [in]  value[2].a: number of images, .b: TESSERA_DNN_LOGITS or _PROBABILITIES
 */
#define TESSERA_DNN_CMD_INFER	1

#define TESSERA_DNN_LOGITS		0
#define TESSERA_DNN_PROBABILITIES	1

/*
 * Describes the loaded model.
 * [out] memref[0]: struct tessera_dnn_info
 */
#define TESSERA_DNN_CMD_INFO	2

struct tessera_dnn_info {
	uint32_t channels;	/* of one input image */
	uint32_t height;
	uint32_t width;
	uint32_t outputs;	/* values in one row of results */
	uint32_t layers;
	uint32_t file_bytes;
	uint32_t weight_bytes;
	uint32_t arena_bytes;	/* for values between layers */
	uint32_t heap_bytes;	/* what the session holds of the TA's heap */
	uint32_t heap_peak;	/* the most it ever held */
};

#endif /* TESSERA_DNN_TA_H */
