/* SPDX-License-Identifier: BSD-2-Clause */
/* What each operation of a package took, by its number */
#ifndef PROFILE_H
#define PROFILE_H

#include <stddef.h>
#include <stdint.h>

struct profile {
	uint64_t times;
	uint64_t instructions;	/* of the processor */
};

extern struct profile profile[];

size_t profile_bytes(void);

#endif /* PROFILE_H */
