// SPDX-License-Identifier: BSD-2-Clause
/*
 * tessera_crash: infers with the TA that panics, and tells what came of it.
 *
 * Prints one line per command with its result code, up to the first that is
 * not 0. A TA that panicked answers TEEC_ERROR_TARGET_DEAD, 0xffff3024.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dnn.h"
#include "tessera_crash_ta.h"

const char blob_program[] = "tessera_crash";

static const char usage[] =
	"Usage: tessera_crash POINT MODEL IMAGES\n"
	"  Opens the TA, tells it where to panic (0 never, 1 once the model is\n"
	"  loaded, 2 in mid-inference, 3 once the result is out), loads, infers.\n"
	"Example: tessera_crash 2 digits.tsm images.f32\n"
	"Exit codes: 0 told what happened, 1 no session, 2 bad usage or files\n";

static TEEC_Result arm(TEEC_Session *session, uint32_t point)
{
	TEEC_Operation operation = { 0 };

	operation.paramTypes = TEEC_PARAM_TYPES(TEEC_VALUE_INPUT, TEEC_NONE,
						TEEC_NONE, TEEC_NONE);
	operation.params[0].value.a = point;

	return TEEC_InvokeCommand(session, TESSERA_CRASH_CMD_ARM, &operation,
				  NULL);
}

static TEEC_Result infer(TEEC_Session *session, const struct blob *images)
{
	struct tessera_dnn_info info = { 0 };
	TEEC_Result res = dnn_info(session, &info);
	struct blob logits = { 0 };
	size_t row = 0;

	if (res)
		return res;
	row = (size_t)info.channels * info.height * info.width * 4;
	logits.size = images->size / row * info.outputs * 4;
	logits.data = calloc(1, logits.size);
	if (!logits.data)
		return TEEC_ERROR_OUT_OF_MEMORY;
	res = dnn_infer(session, images, &logits, images->size / row,
			TESSERA_DNN_LOGITS);
	free(logits.data);

	return res;
}

static TEEC_Result told(const char *command, TEEC_Result res)
{
	printf("%s 0x%08x\n", command, res);

	return res;
}

int main(int argc, char **argv)
{
	struct blob images = { 0 };
	struct blob model = { 0 };
	struct dnn dnn = { 0 };
	uint32_t status = 0;

	if (argc != 4 || argv[1][0] < '0' || argv[1][0] > '3' || argv[1][1]) {
		fputs(usage, stderr);
		return EXIT_BAD_INPUT;
	}
	if (!blob_read(&model, argv[2]) || !blob_read(&images, argv[3]))
		return EXIT_BAD_INPUT;
	if (!dnn_open(&dnn))
		return EXIT_FAILED;
	if (!told("arm", arm(&dnn.session, argv[1][0] - '0')) &&
	    !told("load", dnn_load(&dnn.session, &model, &status)))
		told("infer", infer(&dnn.session, &images));
	dnn_close(&dnn);
	free(images.data);
	free(model.data);

	return 0;
}
