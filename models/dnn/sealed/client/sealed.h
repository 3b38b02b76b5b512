/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions and commands of the TA for sealed packages */
#ifndef SEALED_H
#define SEALED_H

#include <tee_client_api.h>

#include "tessera_sealed_ta.h"
#include "tsin.h"
#include "tsp.h"

/* Exit codes, as those of the tessera command */
#define EXIT_FAILED	1	/* the TA refused, or gave what was not expected */
#define EXIT_BAD_INPUT	2	/* bad usage, or files that cannot be used */

#define MAC_INVALID	0xffff3071	/* not among the codes of the client API */

/* A session, and the memory that it shares with the TA */
struct sealed {
	TEEC_Context context;
	TEEC_Session session;
	TEEC_SharedMemory window;
	TEEC_SharedMemory in;
	TEEC_SharedMemory out;
};

/* Opens a session; false, with a message, on failure */
bool sealed_start(struct sealed *sealed);
void sealed_end(struct sealed *sealed);

/* Memory for blocks, inputs and outputs; false, with a message, on failure */
bool sealed_share(struct sealed *sealed, size_t window, size_t in, size_t out);

/* The TA's commands */
TEEC_Result sealed_identity(TEEC_Session *session, struct blob *point);
TEEC_Result sealed_install(TEEC_Session *session, const struct blob *wrapped);
TEEC_Result sealed_info(TEEC_Session *session,
			struct tessera_sealed_info *info);
TEEC_Result sealed_open(TEEC_Session *session, const struct tsp *tsp,
			struct tessera_sealed_info *info);

/*
 * A user's wrapped key and a batch; what the TA has drawn goes to session, as
 * far as its size reaches.
 */
TEEC_Result sealed_seal_io(TEEC_Session *session, const struct blob *wrapped,
			   const uint8_t *batch, struct blob *drawn);

/*
 * One STEP with `size` bytes of the window; `in` and `out` bytes of the inputs
 * and outputs. *taken goes both ways.
 */
TEEC_Result sealed_step(struct sealed *sealed, size_t size, size_t in,
			size_t out, uint32_t *taken, uint32_t *state);

/* Whole blocks of the feed from *entry on, up to end, into the window */
size_t sealed_fill(struct sealed *sealed, const struct tsp *tsp,
		   uint32_t *entry, uint32_t end);

/*
 * A whole part: the entries [entry, end) of the feed. TEEC_ERROR_COMMUNICATION
 * when the TA wants other entries than those.
 */
TEEC_Result sealed_part(struct sealed *sealed, const struct tsp *tsp,
			uint32_t entry, uint32_t end, size_t in, size_t out);

/* A result code in words */
const char *sealed_text(TEEC_Result res);

/* Bad input of every kind against the TA; the number of surprises */
unsigned int abuse(const struct tsp *tsp, const struct blob *input,
		   uint32_t seed, uint32_t cases);
/* The same against sealed inputs and outputs; takes two inputs */
unsigned int abuse_data(const struct tsp *tsp, const struct blob *wrapped,
			const struct tsin *inputs);
/* Seeded sequences of good and bad calls; the number of surprises */
unsigned int fuzz(const struct tsp *tsp, const struct blob *input,
		  const struct blob *expected, uint32_t seed, uint32_t cases);

#endif /* SEALED_H */
