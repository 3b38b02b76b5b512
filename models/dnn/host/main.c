// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_plain: an unsealed package and raw inputs to raw outputs.
 *
 *	tessera_plain PACKAGE [--in FILE]... [--out FILE]... [--times N] [--trace]
 *
 * Files are tensors as the manifest has them, without gaps. Counters go to the
 * standard output as JSON; --trace adds the blocks in the order in which they
 * were taken. Exit code 2: bad words or files, 3: the package does not run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plain.h"

struct file {
	void *data;
	size_t size;
};

struct words {
	const char *package;
	const char *input[TX_TENSORS];
	const char *output[TX_TENSORS];
	uint32_t inputs;
	uint32_t outputs;
	unsigned long times;
	bool trace;
};

struct session {
	struct plain plain;
	struct tx_manifest manifest;
	struct plain_room room;
	struct tx_machine machine;
	struct file input[TX_TENSORS];
	struct file output[TX_TENSORS];
};

static const char *name_of(int status)
{
	static const char *const names[] = {
		[TX_OK] = "ok",
		[TX_NEED_BLOCK] = "a block is needed",
		[TX_BAD_MANIFEST] = "bad manifest",
		[TX_BAD_CODE] = "bad code",
		[TX_BAD_BLOCK] = "bad block",
		[TX_BAD_CALL] = "bad call",
	};

	return status == PLAIN_NO_BLOCK ? "no such block" : names[status];
}

static int fail(int code, const char *what, const char *name)
{
	fprintf(stderr, "tessera_plain: %s: %s\n", what, name);
	return code;
}

static bool read_file(const char *name, struct file *file)
{
	FILE *stream = fopen(name, "rb");
	long size = 0;
	bool good = false;

	if (!stream)
		return false;
	if (!fseek(stream, 0, SEEK_END) && (size = ftell(stream)) >= 0 &&
	    !fseek(stream, 0, SEEK_SET)) {
		file->size = (size_t)size;
		/* Not larger than it is: a checker sees what is read behind */
		file->data = malloc(file->size ? file->size : 1);
		good = file->data && fread(file->data, 1, file->size,
					   stream) == file->size;
	}
	fclose(stream);

	return good;
}

static bool write_file(const char *name, const struct file *file)
{
	FILE *stream = fopen(name, "wb");
	bool good = false;

	if (!stream)
		return false;
	good = fwrite(file->data, 1, file->size, stream) == file->size;

	return !fclose(stream) && good;
}

static bool read_words(int count, char **word, struct words *words)
{
	int i = 0;

	words->times = 1;
	for (i = 1; i < count; i++) {
		bool more = i + 1 < count;

		if (!strcmp(word[i], "--trace"))
			words->trace = true;
		else if (!strcmp(word[i], "--in") && more &&
			 words->inputs < TX_TENSORS)
			words->input[words->inputs++] = word[++i];
		else if (!strcmp(word[i], "--out") && more &&
			 words->outputs < TX_TENSORS)
			words->output[words->outputs++] = word[++i];
		else if (!strcmp(word[i], "--times") && more)
			words->times = strtoul(word[++i], NULL, 10);
		else if (word[i][0] != '-' && !words->package)
			words->package = word[i];
		else
			return false;
	}

	return words->package && words->times;
}

static void show(void *context, uint32_t index)
{
	bool *first = context;

	printf("%s%u", *first ? "" : ", ", index);
	*first = false;
}

/* One part; its counters are printed */
static int run_part(struct session *session, const struct tx_io *io,
		    const struct words *words, bool once)
{
	struct tx_machine *machine = &session->machine;
	clock_t start = clock();
	bool first = true;
	int status = 0;

	printf("{");
	if (words->trace)
		printf("\"order\": [");
	tx_begin(machine, &session->manifest, session->room.arena,
		 session->room.code, session->room.packed, once);
	status = plain_run(&session->plain, machine, io,
			   words->trace ? show : NULL, &first);
	if (words->trace)
		printf("], ");
	printf("\"blocks\": %llu, \"bytes_loaded\": %llu, \"instructions\": %llu, "
	       "\"cpu_seconds\": %.6f, \"status\": \"%s\"}",
	       (unsigned long long)machine->blocks,
	       (unsigned long long)machine->bytes_loaded,
	       (unsigned long long)machine->instructions,
	       (double)(clock() - start) / CLOCKS_PER_SEC, name_of(status));

	return status;
}

static bool is_wiped(const struct session *session)
{
	const uint8_t *arena = session->room.arena;
	uint32_t i = 0;

	for (i = 0; i < session->manifest.arena; i++)
		if (arena[i])
			return false;

	return true;
}

static int run_all(struct session *session, const struct words *words)
{
	struct tx_io io = { .input = { NULL } };
	unsigned long i = 0;
	int status = 0;

	for (i = 0; i < TX_TENSORS; i++) {
		io.input[i] = session->input[i].data;
		io.output[i] = session->output[i].data;
	}
	printf("{\"arena\": %u, \"once\": ", session->manifest.arena);
	status = run_part(session, NULL, words, true);
	printf(", \"inferences\": [");
	for (i = 0; !status && i < words->times; i++) {
		printf("%s", i ? ", " : "");
		status = run_part(session, &io, words, false);
	}
	printf("], \"wiped\": %s}\n", is_wiped(session) ? "true" : "false");

	return status;
}

/* Buffers of the tensors' sizes; inputs are read */
static bool open_tensors(struct session *session, const struct words *words)
{
	const struct tx_manifest *manifest = &session->manifest;
	uint32_t i = 0;

	if (words->inputs != manifest->inputs ||
	    words->outputs > manifest->outputs)
		return false;
	for (i = 0; i < manifest->inputs; i++)
		if (!read_file(words->input[i], &session->input[i]) ||
		    session->input[i].size !=
		    tx_tensor_bytes(&manifest->input[i]))
			return false;
	for (i = 0; i < manifest->outputs; i++) {
		session->output[i].size = tx_tensor_bytes(&manifest->output[i]);
		session->output[i].data = calloc(1, session->output[i].size);
		if (!session->output[i].data)
			return false;
	}

	return true;
}

static int run_package(struct session *session, const struct words *words)
{
	const struct plain_block *manifest = session->plain.block;
	uint32_t i = 0;
	int status = tx_manifest_parse(manifest->data, manifest->bytes,
				       &session->manifest);

	if (status)
		return fail(3, name_of(status), words->package);
	if (!open_tensors(session, words))
		return fail(2, "inputs and outputs are not those of",
			    words->package);
	if (!plain_room_make(&session->manifest, &session->room))
		return fail(2, "no memory for", words->package);
	status = run_all(session, words);
	if (status)
		return fail(3, name_of(status), words->package);
	for (i = 0; i < words->outputs; i++)
		if (!write_file(words->output[i], &session->output[i]))
			return fail(2, "cannot write", words->output[i]);

	return 0;
}

int main(int count, char **word)
{
	struct session session = { .plain = { .blocks = 0 } };
	struct words words = { .package = NULL };
	struct file package = { .data = NULL };
	uint32_t i = 0;
	int code = 2;

	if (!read_words(count, word, &words))
		return fail(2, "usage", "PACKAGE [--in FILE]... [--out FILE]... "
					"[--times N] [--trace]");
	if (!read_file(words.package, &package))
		code = fail(2, "cannot read", words.package);
	else if (!plain_open(package.data, package.size, &session.plain))
		code = fail(2, "not an unsealed package", words.package);
	else
		code = run_package(&session, &words);

	for (i = 0; i < TX_TENSORS; i++) {
		free(session.input[i].data);
		free(session.output[i].data);
	}
	plain_room_free(&session.room);
	plain_close(&session.plain);
	free(package.data);

	return code;
}
