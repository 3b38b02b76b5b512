// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_baseline: a network and a raw input to raw outputs, by the naive runtime.
 *
 *	tessera_baseline NETWORK --in FILE [--out FILE]... [--times N]
 *
 * What it takes goes to the standard output as JSON. Exit code 2: bad words or files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "baseline.h"

struct words {
	const char *network;
	const char *input;
	const char *output[BL_OUTPUTS];
	uint32_t outputs;
	unsigned long times;
};

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "tessera_baseline: %s: %s\n", what, name);
	return 2;
}

/* The whole file, of no more bytes than it has; NULL if it cannot be read */
static void *read_file(const char *name, size_t *size)
{
	FILE *stream = fopen(name, "rb");
	void *data = NULL;
	long end = 0;

	if (!stream)
		return NULL;
	if (!fseek(stream, 0, SEEK_END) && (end = ftell(stream)) >= 0 &&
	    !fseek(stream, 0, SEEK_SET)) {
		*size = (size_t)end;
		data = malloc(*size ? *size : 1);
	}
	if (data && fread(data, 1, *size, stream) != *size) {
		free(data);
		data = NULL;
	}
	fclose(stream);

	return data;
}

static bool write_file(const char *name, const struct bl_tensor *tensor)
{
	size_t count = bl_count(&tensor->shape);
	FILE *stream = fopen(name, "wb");
	bool good = false;

	if (!stream)
		return false;
	good = fwrite(tensor->data, sizeof(float), count, stream) == count;

	return !fclose(stream) && good;
}

static bool read_words(int count, char **word, struct words *words)
{
	int i = 0;

	words->times = 1;
	for (i = 1; i < count; i++) {
		bool more = i + 1 < count;

		if (!strcmp(word[i], "--in") && more && !words->input)
			words->input = word[++i];
		else if (!strcmp(word[i], "--out") && more && words->outputs < BL_OUTPUTS)
			words->output[words->outputs++] = word[++i];
		else if (!strcmp(word[i], "--times") && more)
			words->times = strtoul(word[++i], NULL, 10);
		else if (word[i][0] != '-' && !words->network)
			words->network = word[i];
		else
			return false;
	}

	return words->network && words->input && words->times;
}

static void run_all(const struct bl_network *network, unsigned long times)
{
	unsigned long run = 0;
	uint32_t i = 0;

	printf("{\"layers\": %u, \"weight_bytes\": %llu, \"tensor_bytes\": %llu, "
	       "\"column_bytes\": %llu, \"cpu_seconds\": [", network->layers,
	       (unsigned long long)network->weight_bytes,
	       (unsigned long long)network->tensor_bytes,
	       (unsigned long long)network->column_bytes);
	for (run = 0; run < times; run++) {
		clock_t start = clock();

		for (i = 0; i < network->layers; i++)
			bl_run(network, i);
		printf("%s%.6f", run ? ", " : "", (double)(clock() - start) / CLOCKS_PER_SEC);
	}
	printf("]}\n");
}

static int run_network(struct bl_network *network, const struct words *words)
{
	size_t bytes = bl_count(&network->tensor[0].shape) * sizeof(float);
	size_t size = 0;
	void *input = read_file(words->input, &size);
	uint32_t i = 0;

	if (!input || size != bytes || words->outputs > network->outputs) {
		free(input);
		return fail("inputs and outputs are not those of", words->network);
	}
	memcpy(network->tensor[0].data, input, bytes);
	free(input);
	run_all(network, words->times);
	for (i = 0; i < words->outputs; i++)
		if (!write_file(words->output[i], &network->tensor[network->output[i]]))
			return fail("cannot write", words->output[i]);

	return 0;
}

int main(int count, char **word)
{
	struct bl_network network = { .layers = 0 };
	struct words words = { .network = NULL };
	const char *wrong = NULL;
	size_t size = 0;
	void *data = NULL;
	int code = 0;

	if (!read_words(count, word, &words))
		return fail("usage", "NETWORK --in FILE [--out FILE]... [--times N]");
	data = read_file(words.network, &size);
	if (!data)
		return fail("cannot read", words.network);
	wrong = bl_open(data, size, &network);
	free(data);
	code = wrong ? fail(wrong, words.network) : run_network(&network, &words);
	bl_close(&network);

	return code;
}
