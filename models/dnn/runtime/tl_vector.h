/* SPDX-License-Identifier: BSD-2-Clause */
/* Vectors of TL_LANES numbers, as compilers for Arm and x86 have them */
#ifndef TL_VECTOR_H
#define TL_VECTOR_H

#include <string.h>

#include "tl_layers.h"

typedef float tl_vector __attribute__((vector_size(4 * TL_LANES)));

static inline tl_vector tl_load(const float *from)
{
	tl_vector v;

	memcpy(&v, from, sizeof(v));
	return v;
}

/* The first `count` lanes; the others are 0 */
static inline tl_vector tl_load_some(const float *from, uint32_t count)
{
	tl_vector v = { 0 };

	memcpy(&v, from, count * sizeof(float));
	return v;
}

static inline void tl_store(float *to, tl_vector v)
{
	memcpy(to, &v, sizeof(v));
}

#endif /* TL_VECTOR_H */
