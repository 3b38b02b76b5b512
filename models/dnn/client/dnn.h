/* SPDX-License-Identifier: BSD-2-Clause */
/* What the client's commands share: sessions and TA commands */
#ifndef DNN_H
#define DNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tee_client_api.h>

#include "blob.h"
#include "tessera_dnn_ta.h"

/* Exit codes, as those of the tessera command */
#define EXIT_FAILED	1	/* the TA refused, or gave what was not expected */
#define EXIT_BAD_INPUT	2	/* bad usage, or files that cannot be used */

struct dnn {
	TEEC_Context context;
	TEEC_Session session;
};

/* Opens a session; false, with a message, on failure */
bool dnn_open(struct dnn *dnn);
void dnn_close(struct dnn *dnn);

/* The TA's commands; *status is enum ts_status of the model file */
TEEC_Result dnn_load(TEEC_Session *session, const struct blob *model,
		     uint32_t *status);
TEEC_Result dnn_info(TEEC_Session *session, struct tessera_dnn_info *info);
TEEC_Result dnn_infer(TEEC_Session *session, const struct blob *images,
		      struct blob *results, uint32_t count, uint32_t what);

/* A result code in words */
const char *dnn_text(TEEC_Result res);

/* Bad input of every kind against the TA; the number of surprises */
unsigned int abuse(struct dnn *dnn, const struct blob *model);

#endif /* DNN_H */
