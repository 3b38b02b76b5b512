// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_sealed: talks to the TA for sealed packages from Linux.
 *
 * Inputs and outputs are raw files: all tensors of one inference as
 * docs/package.md lays them out, then those of the next.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sealed.h"

#define WINDOW		(256u * 1024)
#define MAX_WINDOW	(16u * 1024 * 1024)

const char blob_program[] = "tessera_sealed";

static const char usage[] =
	"Usage: tessera_sealed identity POINT\n"
	"       tessera_sealed install WRAPPED\n"
	"       tessera_sealed run PACKAGE INPUTS OUTPUTS [--window BYTES]\n"
	"                          [--hold-open SECONDS]\n"
	"       tessera_sealed run-sealed PACKAGE USERKEY INPUTS OUTPUTS [...]\n"
	"       tessera_sealed abuse PACKAGE INPUT [--seed N] [--cases N]\n"
	"       tessera_sealed abuse-sealed PACKAGE USERKEY INPUTS\n"
	"\n"
	"  identity  writes the device's public key\n"
	"  install   gives the device the owner's key, wrapped for it\n"
	"  run       opens the package, runs it on each of the inputs, and prints\n"
	"            figures; --window is the size of the memory through which\n"
	"            blocks go, --hold-open keeps the session open afterwards\n"
	"  run-sealed  the same with inputs that a user has sealed, and outputs\n"
	"            that only they can open; USERKEY is their key, wrapped\n"
	"  abuse     sends bad input of every kind to the TA, and N sequences of\n"
	"            good and bad calls; prints a line for each surprise\n"
	"  abuse-sealed  the same for sealed inputs, of which it takes two\n"
	"\n"
	"Example: tessera_sealed run digits.tsp images.f32 logits.f32\n"
	"Exit codes: 0 done, 1 the TA refused or surprised, 2 bad usage or files\n";

struct options {
	uint32_t window;
	uint32_t hold_seconds;
	uint32_t seed;
	uint32_t cases;
};

static int bad_usage(const char *why, const char *what)
{
	fprintf(stderr, "tessera_sealed: %s%s\n%s", why, what, usage);

	return EXIT_BAD_INPUT;
}

static int failed(const char *command, TEEC_Result res)
{
	fprintf(stderr, "tessera_sealed: %s failed: 0x%08x (%s)\n", command, res,
		sealed_text(res));

	return EXIT_FAILED;
}

static int do_identity(const char *path)
{
	uint8_t bytes[TESSERA_SEALED_POINT] = { 0 };
	struct blob point = { bytes, sizeof(bytes) };
	struct sealed sealed = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	if (!sealed_start(&sealed))
		return EXIT_FAILED;
	res = sealed_identity(&sealed.session, &point);
	sealed_end(&sealed);
	if (res)
		return failed("identity", res);

	return blob_write(&point, path) ? 0 : EXIT_BAD_INPUT;
}

static int do_install(const char *path)
{
	struct blob wrapped = { 0 };
	struct sealed sealed = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	if (!blob_read(&wrapped, path))
		return EXIT_BAD_INPUT;
	if (!sealed_start(&sealed)) {
		free(wrapped.data);
		return EXIT_FAILED;
	}
	res = sealed_install(&sealed.session, &wrapped);
	sealed_end(&sealed);
	free(wrapped.data);

	return res ? failed("install", res) : 0;
}

static void print_info(const struct tessera_sealed_info *info)
{
	printf("version %u\ninput_bytes %u\noutput_bytes %u\n", info->version,
	       info->input_bytes, info->output_bytes);
	printf("chunk_bytes %u\narena_bytes %u\ndata_bytes %u\n",
	       info->chunk_bytes, info->arena_bytes, info->data_bytes);
	printf("heap_bytes %u\nheap_peak %u\nsteps %u\n", info->heap_bytes,
	       info->heap_peak, info->steps);
	printf("blocks %" PRIu64 "\nbytes %" PRIu64 "\n", info->blocks,
	       info->bytes);
	printf("instructions %" PRIu64 "\n", info->instructions);
}

static uint64_t microseconds(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Inferences: inputs and outputs, each one after the other */
struct work {
	const uint8_t *in;
	uint8_t *out;
	size_t in_size;		/* of one, its tag included */
	size_t out_size;
	size_t count;
};

static TEEC_Result infer_all(struct sealed *sealed, const struct tsp *tsp,
			     const struct tessera_sealed_info *info,
			     const struct work *work)
{
	uint64_t began = microseconds();
	TEEC_Result res = TEEC_SUCCESS;
	size_t i = 0;

	if (info->has_once)
		res = sealed_part(sealed, tsp, 0, tsp->onces, 0, 0);
	if (res)
		return res;
	printf("once_microseconds %" PRIu64 "\n", microseconds() - began);
	for (i = 0; i < work->count; i++) {
		began = microseconds();
		memcpy(sealed->in.buffer, work->in + i * work->in_size,
		       work->in_size);
		res = sealed_part(sealed, tsp, tsp->onces, tsp->feeds,
				  work->in_size, work->out_size);
		if (res)
			return res;
		memcpy(work->out + i * work->out_size, sealed->out.buffer,
		       work->out_size);
		printf("microseconds %" PRIu64 "\n", microseconds() - began);
	}

	return TEEC_SUCCESS;
}

static void hold_open(unsigned int seconds)
{
	printf("holding the session open for %u s\n", seconds);
	fflush(stdout);
	while (seconds)
		seconds = sleep(seconds);
}

/* With the package open and all else ready: runs it and writes a file */
static int run_all(struct sealed *sealed, const struct tsp *tsp,
		   struct tessera_sealed_info *info, const struct work *work,
		   const struct blob *outputs, const char *path,
		   const struct options *options)
{
	TEEC_Result res = TEEC_SUCCESS;
	int code = 0;

	if (options->window < tsp->chunk + TESSERA_SEALED_TAG) {
		fprintf(stderr,
			"tessera_sealed: a window of %u bytes holds no block of %u\n",
			options->window, tsp->chunk + TESSERA_SEALED_TAG);
		return EXIT_BAD_INPUT;
	}
	if (!sealed_share(sealed, options->window, work->in_size,
			  work->out_size))
		code = EXIT_FAILED;
	if (!code) {
		res = infer_all(sealed, tsp, info, work);
		if (!res)
			res = sealed_info(&sealed->session, info);
		if (res)
			code = failed("run", res);
	}
	if (!code && !blob_write(outputs, path))
		code = EXIT_BAD_INPUT;
	if (!code) {
		print_info(info);
		if (options->hold_seconds)
			hold_open(options->hold_seconds);
	}

	return code;
}

/* With the package open: inputs and outputs in the clear */
static int run_open(struct sealed *sealed, const struct tsp *tsp,
		    struct tessera_sealed_info *info, const struct blob *inputs,
		    const char *path, const struct options *options)
{
	struct blob outputs = { 0 };
	struct work work = { 0 };
	int code = 0;

	if (inputs->size % info->input_bytes) {
		fprintf(stderr,
			"tessera_sealed: %zu bytes are not a whole number of inputs of %u bytes\n",
			inputs->size, info->input_bytes);
		return EXIT_BAD_INPUT;
	}
	work.count = inputs->size / info->input_bytes;
	outputs.size = work.count * info->output_bytes;
	outputs.data = calloc(1, outputs.size);
	if (!outputs.data)
		return failed("run", TEEC_ERROR_OUT_OF_MEMORY);
	work.in = inputs->data;
	work.in_size = info->input_bytes;
	work.out = outputs.data;
	work.out_size = info->output_bytes;
	code = run_all(sealed, tsp, info, &work, &outputs, path, options);
	free(outputs.data);

	return code;
}

/* With the package open: inputs that a user has sealed, with their wrapped key */
static int run_open_sealed(struct sealed *sealed, const struct tsp *tsp,
			   struct tessera_sealed_info *info,
			   const struct blob *wrapped,
			   const struct tsin *inputs, const char *path,
			   const struct options *options)
{
	uint8_t session[TESSERA_SEALED_SESSION] = { 0 };
	struct blob drawn = { session, sizeof(session) };
	struct blob outputs = { 0 };
	struct work work = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	int code = 0;

	if (inputs->size != info->input_bytes) {
		fprintf(stderr,
			"tessera_sealed: the inputs have %u bytes, the network takes %u\n",
			inputs->size, info->input_bytes);
		return EXIT_BAD_INPUT;
	}
	res = sealed_seal_io(&sealed->session, wrapped, tsin_batch(inputs),
			     &drawn);
	if (res)
		return failed("the user's key", res);
	outputs = tsou_make(inputs, session, info->output_bytes, &work.out);
	if (!outputs.data)
		return failed("run", TEEC_ERROR_OUT_OF_MEMORY);
	work.count = inputs->count;
	work.in = tsin_input(inputs, 0);
	work.in_size = (size_t)info->input_bytes + TESSERA_SEALED_TAG;
	work.out_size = (size_t)info->output_bytes + TESSERA_SEALED_TAG;
	code = run_all(sealed, tsp, info, &work, &outputs, path, options);
	free(outputs.data);

	return code;
}

static int do_run_sealed(const char *const *paths,
			 const struct options *options)
{
	struct tessera_sealed_info info = { 0 };
	struct blob wrapped = { 0 };
	struct sealed sealed = { 0 };
	struct tsin inputs = { 0 };
	struct tsp tsp = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	int code = EXIT_BAD_INPUT;

	if (tsp_read(&tsp, paths[0]) && blob_read(&wrapped, paths[1]) &&
	    tsin_read(&inputs, paths[2])) {
		code = EXIT_FAILED;
		if (sealed_start(&sealed)) {
			res = sealed_open(&sealed.session, &tsp, &info);
			code = res ? failed("open", res) :
				     run_open_sealed(&sealed, &tsp, &info,
						     &wrapped, &inputs,
						     paths[3], options);
			sealed_end(&sealed);
		}
	}
	tsin_drop(&inputs);
	free(wrapped.data);
	tsp_drop(&tsp);

	return code;
}

static int do_run(const char *const *paths, const struct options *options)
{
	struct tessera_sealed_info info = { 0 };
	struct blob inputs = { 0 };
	struct sealed sealed = { 0 };
	struct tsp tsp = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	int code = EXIT_BAD_INPUT;

	if (tsp_read(&tsp, paths[0]) && blob_read(&inputs, paths[1])) {
		code = EXIT_FAILED;
		if (sealed_start(&sealed)) {
			res = sealed_open(&sealed.session, &tsp, &info);
			code = res ? failed("open", res) :
				     run_open(&sealed, &tsp, &info, &inputs,
					      paths[2], options);
			sealed_end(&sealed);
		}
	}
	free(inputs.data);
	tsp_drop(&tsp);

	return code;
}

static int do_abuse(const char *const *paths, const struct options *options)
{
	struct blob input = { 0 };
	struct tsp tsp = { 0 };
	int code = EXIT_BAD_INPUT;

	if (tsp_read(&tsp, paths[0]) && blob_read(&input, paths[1]))
		code = abuse(&tsp, &input, options->seed, options->cases) ?
			       EXIT_FAILED :
			       0;
	free(input.data);
	tsp_drop(&tsp);

	return code;
}

static int do_abuse_sealed(const char *const *paths)
{
	struct blob wrapped = { 0 };
	struct tsin inputs = { 0 };
	struct tsp tsp = { 0 };
	int code = EXIT_BAD_INPUT;

	if (tsp_read(&tsp, paths[0]) && blob_read(&wrapped, paths[1]) &&
	    tsin_read(&inputs, paths[2]))
		code = abuse_data(&tsp, &wrapped, &inputs) ? EXIT_FAILED : 0;
	tsin_drop(&inputs);
	free(wrapped.data);
	tsp_drop(&tsp);

	return code;
}

/* False, with a message, when the text is no number up to most */
static bool number(const char *text, uint32_t most, uint32_t *value)
{
	char *end = NULL;
	unsigned long read = 0;

	errno = 0;
	read = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || read > most) {
		fprintf(stderr, "tessera_sealed: not a number from 0 to %u: %s\n",
			most, text);
		return false;
	}
	*value = (uint32_t)read;

	return true;
}

/* Options and up to `most` paths; 0, or the exit code after a message */
static int parse(int count, char **words, int most, const char **paths,
		 struct options *options)
{
	const struct {
		const char *name;
		uint32_t most;
		uint32_t *value;
	} known[] = {
		{ "--window", MAX_WINDOW, &options->window },
		{ "--hold-open", 3600, &options->hold_seconds },
		{ "--seed", UINT32_MAX, &options->seed },
		{ "--cases", UINT32_MAX, &options->cases },
	};
	int found = 0;
	int i = 0;

	for (i = 0; i < count; i++) {
		size_t k = 0;

		while (k < 4 && strcmp(words[i], known[k].name))
			k++;
		if (k < 4) {
			if (++i == count)
				return bad_usage("no number after ",
						 known[k].name);
			if (!number(words[i], known[k].most, known[k].value))
				return EXIT_BAD_INPUT;
		} else if (words[i][0] == '-' || found == most) {
			return bad_usage("unexpected ", words[i]);
		} else {
			paths[found++] = words[i];
		}
	}

	return found == most ? 0 : bad_usage("too few files", "");
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "identity", "install", "run",
					     "run-sealed", "abuse",
					     "abuse-sealed" };
	static const int takes[] = { 1, 1, 3, 4, 2, 3 };
	struct options options = { WINDOW, 0, 1, 0 };
	const char *paths[4] = { NULL };
	int code = 0;
	size_t k = 0;

	if (argc < 2)
		return bad_usage("no command", "");
	if (!strcmp(argv[1], "--help")) {
		printf("%s", usage);
		return 0;
	}
	while (k < 6 && strcmp(argv[1], names[k]))
		k++;
	if (k == 6)
		return bad_usage("unknown command ", argv[1]);
	code = parse(argc - 2, argv + 2, takes[k], paths, &options);
	if (code)
		return code;
	switch (k) {
	case 0:
		return do_identity(paths[0]);
	case 1:
		return do_install(paths[0]);
	case 2:
		return do_run(paths, &options);
	case 3:
		return do_run_sealed(paths, &options);
	case 4:
		return do_abuse(paths, &options);
	default:
		return do_abuse_sealed(paths);
	}
}
