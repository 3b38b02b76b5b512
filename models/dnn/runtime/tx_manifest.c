// SPDX-License-Identifier: BSD-2-Clause
/* The manifest of a package: words, checked one by one */
#include <string.h>

#include "tx_code.h"

#define MAGIC		0x4d505354u	/* "TSPM" */
#define FORMAT		1u
#define FIXED_WORDS	14u	/* up to the number of outputs */
#define TENSOR_WORDS	4u

size_t tx_tensor_bytes(const struct tx_tensor *tensor)
{
	return (size_t)tensor->channels * tensor->rows * tensor->columns *
	       (tensor->type == TX_FLOAT32 ? 4 : 1);
}

static bool counts(uint32_t value, uint32_t most)
{
	return value && value <= most;
}

static bool read_tensor(const uint32_t *words, struct tx_tensor *tensor)
{
	uint64_t plane = 0;

	tensor->type = words[0];
	tensor->channels = words[1];
	tensor->rows = words[2];
	tensor->columns = words[3];
	plane = (uint64_t)tensor->rows * tensor->columns;

	return tensor->type <= TX_UINT8 &&
	       counts(tensor->channels, TX_MAX_INDEX) &&
	       counts(tensor->rows, TX_MAX_INDEX) &&
	       counts(tensor->columns, TX_MAX_INDEX) &&
	       plane <= INT32_MAX / 4 &&
	       plane * tensor->channels <= INT32_MAX / 4;
}

static bool read_numbers(const uint32_t *words, struct tx_manifest *manifest)
{
	memcpy(manifest->family, words + 2, sizeof(manifest->family));
	manifest->version = words[6];
	manifest->chunk = words[7];
	manifest->arena = words[8];
	manifest->codes = words[9];
	manifest->onces = words[10];
	manifest->blocks = words[11];
	manifest->inputs = words[12];
	manifest->outputs = words[13];

	return words[0] == MAGIC && words[1] == FORMAT &&
	       counts(manifest->chunk, TX_MAX_CHUNK) &&
	       manifest->chunk % 4 == 0 && manifest->arena &&
	       manifest->arena % 16 == 0 && manifest->arena <= INT32_MAX &&
	       manifest->onces < manifest->codes &&
	       manifest->codes < manifest->blocks &&
	       counts(manifest->inputs, TX_TENSORS) &&
	       counts(manifest->outputs, TX_TENSORS);
}

static bool parse(const uint32_t *words, size_t left,
		  struct tx_manifest *manifest)
{
	size_t tensors = 0;
	uint32_t i = 0;

	if (left < FIXED_WORDS || !read_numbers(words, manifest))
		return false;
	words += FIXED_WORDS;
	left -= FIXED_WORDS;
	tensors = manifest->inputs + manifest->outputs;
	if (left < tensors * TENSOR_WORDS ||
	    left - tensors * TENSOR_WORDS != manifest->codes)
		return false;
	for (i = 0; i < manifest->inputs; i++, words += TENSOR_WORDS)
		if (!read_tensor(words, &manifest->input[i]))
			return false;
	for (i = 0; i < manifest->outputs; i++, words += TENSOR_WORDS)
		if (!read_tensor(words, &manifest->output[i]))
			return false;
	manifest->code_bytes = words;
	for (i = 0; i < manifest->codes; i++)
		if (!counts(words[i], manifest->chunk) || words[i] % 4)
			return false;

	return true;
}

enum tx_status tx_manifest_parse(const void *data, size_t size,
				 struct tx_manifest *manifest)
{
	memset(manifest, 0, sizeof(*manifest));
	if (size % 4 || !parse(data, size / 4, manifest)) {
		memset(manifest, 0, sizeof(*manifest));
		return TX_BAD_MANIFEST;
	}

	return TX_OK;
}
