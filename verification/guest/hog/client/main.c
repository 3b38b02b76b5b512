// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_hog: fills the secure memory from ordinary TAs, then runs a command.
 *
 * Opens several instances of the hog TA; each takes blocks of 8 MiB until
 * refused, then of half that size, and so on down to one page, so that at the
 * end no ordinary TA gets even a page. What was taken is held while the command
 * runs.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tee_client_api.h>
#include <unistd.h>

#include "tessera_hog_ta.h"

#define PAGE		4096u
#define LARGEST		(8u * 1024 * 1024)
#define MAX_INSTANCES	8
#define MAX_BLOCKS	4096u

#define EXIT_HOG	125	/* the hog itself failed; else the command's */

static const char usage[] =
	"Usage: tessera_hog INSTANCES COMMAND [ARGUMENT]...\n"
	"  Fills the secure memory from 1 to 8 ordinary TA instances, prints\n"
	"  what it got, and runs COMMAND meanwhile.\n"
	"Example: tessera_hog 4 tessera_dnn infer MODEL IMAGES RESULTS\n"
	"Exit code: that of COMMAND; 125 when the hog itself failed\n";

struct hog {
	TEEC_Session sessions[MAX_INSTANCES];
	unsigned int count;
	uint64_t bytes;
	unsigned int blocks;
	TEEC_Result refusal;
};

/* Takes blocks of one size in one instance until refused; false on failure */
static int take(struct hog *hog, TEEC_Session *session, uint32_t size)
{
	TEEC_Operation operation = { 0 };
	TEEC_Result res = TEEC_SUCCESS;

	operation.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT,
						TEEC_VALUE_OUTPUT, TEEC_NONE,
						TEEC_NONE);
	operation.params[0].value.a = size;
	operation.params[0].value.b = MAX_BLOCKS;
	res = TEEC_InvokeCommand(session, TESSERA_HOG_CMD_TAKE, &operation,
				 NULL);
	if (res) {
		fprintf(stderr, "tessera_hog: take failed: 0x%08x\n", res);
		return -1;
	}
	hog->blocks += operation.params[1].value.a;
	hog->bytes += (uint64_t)operation.params[1].value.a * size;
	hog->refusal = operation.params[1].value.b;

	return 0;
}

/* Opens as many of the wanted instances as the trusted OS allows */
static int open_all(TEEC_Context *context, struct hog *hog, unsigned int wanted)
{
	static const TEEC_UUID uuid = TESSERA_HOG_UUID;
	TEEC_Result res = TEEC_SUCCESS;

	while (hog->count < wanted) {
		res = TEEC_OpenSession(context, &hog->sessions[hog->count],
				       &uuid, TEEC_LOGIN_PUBLIC, NULL, NULL,
				       NULL);
		if (res)
			break;
		hog->count++;
	}
	if (!hog->count)
		fprintf(stderr, "tessera_hog: no session: 0x%08x\n", res);

	return hog->count ? 0 : -1;
}

static int fill(struct hog *hog)
{
	uint32_t size = 0;
	unsigned int i = 0;

	for (size = LARGEST; size >= PAGE; size /= 2)
		for (i = 0; i < hog->count; i++)
			if (take(hog, &hog->sessions[i], size))
				return -1;

	return 0;
}

/* Runs the command and returns its exit code, or 128 plus its signal */
static int run(char **command)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		execvp(command[0], command);
		fprintf(stderr, "tessera_hog: %s: %s\n", command[0],
			strerror(errno));
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return EXIT_HOG;

	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	TEEC_Context context = { 0 };
	struct hog hog = { 0 };
	unsigned int i = 0;
	int wanted = argc > 2 ? atoi(argv[1]) : 0;
	int code = EXIT_HOG;

	if (wanted < 1 || wanted > MAX_INSTANCES) {
		fputs(usage, stderr);
		return EXIT_HOG;
	}
	if (TEEC_InitializeContext(NULL, &context)) {
		fprintf(stderr, "tessera_hog: no TEE\n");
		return EXIT_HOG;
	}
	if (!open_all(&context, &hog, (unsigned int)wanted) && !fill(&hog)) {
		printf("hog: instances %u blocks %u bytes %llu refusal 0x%08x\n",
		       hog.count, hog.blocks, (unsigned long long)hog.bytes,
		       hog.refusal);
		fflush(stdout);
		code = run(argv + 2);
	}
	for (i = 0; i < hog.count; i++)
		TEEC_CloseSession(&hog.sessions[i]);
	TEEC_FinalizeContext(&context);

	return code;
}
