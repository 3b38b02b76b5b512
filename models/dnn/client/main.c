// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_dnn: talks to the inference TA from Linux.
 *
 * Files are raw: images and results are float32 values that follow each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dnn.h"

/* Images that go to the TA in one command: bounds the shared memory taken */
#define BATCH	64

const char blob_program[] = "tessera_dnn";

static const char usage[] =
	"Usage: tessera_dnn infer MODEL IMAGES RESULTS [--probabilities]\n"
	"                         [--hold-open SECONDS]\n"
	"       tessera_dnn info MODEL\n"
	"       tessera_dnn abuse MODEL\n"
	"\n"
	"  infer  runs the model on all images of a raw float32 file, writes\n"
	"         the logits, or the probabilities, of each as float32;\n"
	"         --hold-open keeps the session open for a while afterwards\n"
	"  info   loads the model and prints what the TA says of it\n"
	"  abuse  sends bad input of every kind to the TA, prints a line for\n"
	"         each case\n"
	"\n"
	"Example: tessera_dnn infer digits.tsm images.f32 logits.f32\n"
	"Exit codes: 0 done, 1 the TA refused or surprised, 2 bad usage or files\n";

struct options {
	uint32_t what;
	unsigned int hold_seconds;
};

static int bad_usage(const char *why, const char *what)
{
	fprintf(stderr, "tessera_dnn: %s%s\n%s", why, what, usage);

	return EXIT_BAD_INPUT;
}

static int failed(const char *command, TEEC_Result res)
{
	fprintf(stderr, "tessera_dnn: %s failed: 0x%08x (%s)\n", command, res,
		dnn_text(res));

	return EXIT_FAILED;
}

/* Loads the model into a new session; 0, or the exit code after a message */
static int start(struct dnn *dnn, const struct blob *model,
		 struct tessera_dnn_info *info)
{
	TEEC_Result res = TEEC_SUCCESS;
	uint32_t status = 0;

	if (!dnn_open(dnn))
		return EXIT_FAILED;
	res = dnn_load(&dnn->session, model, &status);
	if (res == TEEC_ERROR_BAD_FORMAT || res == TEEC_ERROR_EXCESS_DATA) {
		fprintf(stderr,
			"tessera_dnn: the TA cannot use the model: 0x%08x (%s), status %u\n",
			res, dnn_text(res), status);
		dnn_close(dnn);
		return EXIT_BAD_INPUT;
	}
	if (!res)
		res = dnn_info(&dnn->session, info);
	if (res) {
		dnn_close(dnn);
		return failed("load", res);
	}

	return 0;
}

static int run_batches(struct dnn *dnn, const struct blob *images,
		       struct blob *results, size_t in_row, size_t out_row,
		       uint32_t what)
{
	size_t count = images->size / in_row;
	size_t done = 0;

	while (done < count) {
		size_t now = count - done < BATCH ? count - done : BATCH;
		struct blob in = { images->data + done * in_row, now * in_row };
		struct blob out = { results->data + done * out_row,
				    now * out_row };
		TEEC_Result res = dnn_infer(&dnn->session, &in, &out,
					    (uint32_t)now, what);

		if (res)
			return failed("infer", res);
		done += now;
	}

	return 0;
}

static void hold_open(unsigned int seconds)
{
	printf("holding the session open for %u s\n", seconds);
	fflush(stdout);
	while (seconds)
		seconds = sleep(seconds);
}

static int infer_all(struct dnn *dnn, const struct blob *images,
		     const struct tessera_dnn_info *info, const char *path,
		     const struct options *options)
{
	size_t in_row = (size_t)info->channels * info->height * info->width * 4;
	size_t out_row = (size_t)info->outputs * 4;
	struct blob results = { 0 };
	int code = 0;

	if (images->size % in_row) {
		fprintf(stderr,
			"tessera_dnn: %zu bytes are not a whole number of images of %zu bytes\n",
			images->size, in_row);
		return EXIT_BAD_INPUT;
	}
	results.size = images->size / in_row * out_row;
	results.data = calloc(1, results.size);
	if (!results.data)
		return failed("infer", TEEC_ERROR_OUT_OF_MEMORY);
	code = run_batches(dnn, images, &results, in_row, out_row,
			   options->what);
	if (!code && !blob_write(&results, path))
		code = EXIT_BAD_INPUT;
	if (!code) {
		printf("%zu images, %u results each\n", images->size / in_row,
		       info->outputs);
		if (options->hold_seconds)
			hold_open(options->hold_seconds);
	}
	free(results.data);

	return code;
}

static int do_infer(const char *const *paths, const struct options *options)
{
	struct tessera_dnn_info info = { 0 };
	struct blob images = { 0 };
	struct blob model = { 0 };
	struct dnn dnn = { 0 };
	int code = EXIT_BAD_INPUT;

	if (blob_read(&model, paths[0]) && blob_read(&images, paths[1]))
		code = start(&dnn, &model, &info);
	if (!code) {
		code = infer_all(&dnn, &images, &info, paths[2], options);
		dnn_close(&dnn);
	}
	free(images.data);
	free(model.data);

	return code;
}

static int do_info(const char *path)
{
	struct tessera_dnn_info info = { 0 };
	struct blob model = { 0 };
	struct dnn dnn = { 0 };
	int code = EXIT_BAD_INPUT;

	if (blob_read(&model, path))
		code = start(&dnn, &model, &info);
	free(model.data);
	if (code)
		return code;
	printf("input %ux%ux%u\noutputs %u\nlayers %u\n", info.channels,
	       info.height, info.width, info.outputs, info.layers);
	printf("file_bytes %u\nweight_bytes %u\narena_bytes %u\n",
	       info.file_bytes, info.weight_bytes, info.arena_bytes);
	printf("heap_bytes %u\nheap_peak %u\n", info.heap_bytes,
	       info.heap_peak);
	dnn_close(&dnn);

	return 0;
}

static int do_abuse(const char *path)
{
	struct blob model = { 0 };
	struct dnn dnn = { 0 };
	unsigned int surprises = 0;

	if (!blob_read(&model, path))
		return EXIT_BAD_INPUT;
	if (!dnn_open(&dnn)) {
		free(model.data);
		return EXIT_FAILED;
	}
	surprises = abuse(&dnn, &model);
	dnn_close(&dnn);
	free(model.data);

	return surprises ? EXIT_FAILED : 0;
}

/* False, with a message, when the text is not a number of seconds */
static bool parse_seconds(const char *text, unsigned int *seconds)
{
	char *end = NULL;
	unsigned long value = 0;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value > 3600) {
		bad_usage("seconds must be 0 to 3600, not ", text);
		return false;
	}
	*seconds = (unsigned int)value;

	return true;
}

static int main_infer(int count, char **words)
{
	struct options options = { 0 };
	const char *paths[3] = { NULL };
	int found = 0;
	int i = 0;

	for (i = 0; i < count; i++) {
		if (!strcmp(words[i], "--probabilities")) {
			options.what = TESSERA_DNN_PROBABILITIES;
		} else if (!strcmp(words[i], "--hold-open")) {
			if (++i == count)
				return bad_usage("no seconds after ",
						 "--hold-open");
			if (!parse_seconds(words[i], &options.hold_seconds))
				return EXIT_BAD_INPUT;
		} else if (words[i][0] == '-' || found == 3) {
			return bad_usage("unexpected ", words[i]);
		} else {
			paths[found++] = words[i];
		}
	}
	if (found != 3)
		return bad_usage("infer takes three files", "");

	return do_infer(paths, &options);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return bad_usage("no command", "");
	if (!strcmp(argv[1], "--help")) {
		printf("%s", usage);
		return 0;
	}
	if (!strcmp(argv[1], "infer"))
		return main_infer(argc - 2, argv + 2);
	if (strcmp(argv[1], "info") && strcmp(argv[1], "abuse"))
		return bad_usage("unknown command ", argv[1]);
	if (argc != 3)
		return bad_usage(argv[1], " takes one model file");
	if (!strcmp(argv[1], "info"))
		return do_info(argv[2]);

	return do_abuse(argv[2]);
}
