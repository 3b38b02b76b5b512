// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the TA for sealed packages may use in place: a STEP's inputs and outputs.
 * Not with FAKE_TEE_SEALED_IO set: sealed ones are copied, each once.
 */
#include <stdlib.h>

#include "fake_tee.h"
#include "tessera_sealed_ta.h"

uint32_t fake_direct(uint32_t command)
{
	if (command != TESSERA_SEALED_CMD_STEP || getenv("FAKE_TEE_SEALED_IO"))
		return 0;

	return 1u << 1 | 0x10u << 2;
}
