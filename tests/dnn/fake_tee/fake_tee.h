/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the stand-in for the TEE share */
#ifndef FAKE_TEE_H
#define FAKE_TEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tee_internal_api.h>

#define FAKE_SECRET	32	/* bytes of a key or of a private number */

/* A key, or data in storage, or both */
struct fake_object {
	uint32_t type;
	bool ready;		/* it has a key */
	bool stored;
	uint32_t flags;
	uint8_t secret[FAKE_SECRET];
	uint8_t x[FAKE_SECRET];
	uint8_t y[FAKE_SECRET];
	uint8_t data[64];
	uint32_t size;
	uint32_t at;
	char path[512];
};

/* A panic of the TA, or a fault of the test: ends the process */
_Noreturn void fake_stop(const char *why);

/* Whether one more allocation succeeds, see FAKE_TEE_FAIL_AT */
bool fake_may_allocate(void);

/* Handles that the TA holds: one more or less */
void fake_count_handle(int change);

/*
 * Parameters that the TA may read (bits 0 to 3) and write (4 to 7) in place
 * during a command. The one in fake_tee.c says none; it is weak.
 */
uint32_t fake_direct(uint32_t command);

#endif /* FAKE_TEE_H */
