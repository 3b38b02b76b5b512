// SPDX-License-Identifier: BSD-2-Clause
/* Instructions of the processor by operation of the package: the linker puts it around tx_do() */
#include "bare.h"
#include "profile.h"
#include "tx_code.h"

struct profile profile[TX_OPERATIONS];

void __real_tx_do(const struct tx_step *step, const struct tx_place *place);
void __wrap_tx_do(const struct tx_step *step, const struct tx_place *place);

void __wrap_tx_do(const struct tx_step *step, const struct tx_place *place)
{
	uint64_t start = bare_instructions();

	__real_tx_do(step, place);
	profile[step->operation].times++;
	profile[step->operation].instructions += bare_instructions() - start;
}

size_t profile_bytes(void)
{
	return sizeof(profile);
}
