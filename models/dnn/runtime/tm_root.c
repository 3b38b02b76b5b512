// SPDX-License-Identifier: BSD-2-Clause
/*
 * sqrt and 1 / sqrt, by Newton's method in double.
 *
 * Not every compiler may turn sqrt into the one instruction that most machines
 * have, and there is no function to call where it does not.
 */
#include "tm_core.h"
#include "tm_math.h"

/* 1 / sqrt(x) for normal x above 0 */
static double inverse_root(double x)
{
	/*
	 * Half of the exponent, with its sign turned: within 3.5 % of the
	 * result. Each step squares that error (and takes 1.5 times it).
	 */
	double y = tm_double(0x5fe6eb50c7b537a9ULL - (tm_double_bits(x) >> 1));
	int i = 0;

	for (i = 0; i < 5; i++)
		y = y * (1.5 - 0.5 * x * y * y);

	return y;
}

float tm_sqrt(float x)
{
	double root = 0.0;
	float y = 0.0f;
	double middle = 0.0;
	float next = 0.0f;
	uint32_t bits = 0;

	if (tm_is_nan(x) || x > 0x1.fffffep127f)
		return x;
	if (x < 0.0f)
		return TM_NAN;
	if (!(x > 0.0f))
		return x;

	root = x * inverse_root(x);
	y = (float)root;

	/*
	 * Half way between y and its neighbour on the root's side: it has 25
	 * bits, so its square is exact, and says on which side of it the true
	 * root lies.
	 */
	bits = tm_float_bits(y) + (root > (double)y ? 1 : -1u);
	memcpy(&next, &bits, sizeof(next));
	middle = 0.5 * ((double)y + (double)next);
	if (next > y)
		return (double)x > middle * middle ? next : y;
	return (double)x < middle * middle ? next : y;
}

float tm_rsqrt(float x)
{
	if (tm_is_nan(x))
		return x;
	if (x < 0.0f)
		return TM_NAN;
	if (x > 0x1.fffffep127f)
		return 0.0f;
	if (!(x > 0.0f))
		return tm_float_bits(x) >> 31 ? -TM_INFINITY : TM_INFINITY;

	return (float)inverse_root(x);
}
