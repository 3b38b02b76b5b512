// SPDX-License-Identifier: BSD-2-Clause
/*
 * exp and what is made from it.
 *
 * x = k ln 2 + r with |r| <= ln 2 / 2, and exp(x) = 2^k exp(r). The series of
 * exp(r) - 1 is cut after r^14 / 14!: what follows is below 2^-60 of it.
 */
#include "tm_core.h"
#include "tm_math.h"

/* Beyond these every float32 result is infinite, zero or one */
#define TM_EXP_HIGH	90.0f
#define TM_EXP_LOW	(-110.0f)

/* (exp(r) - 1) / r: 1 / 1!, 1 / 2!, ... */
static const double series[] = {
	1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
	1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800,
	1.0 / 479001600, 1.0 / 6227020800, 1.0 / 87178291200,
};

/* Splits x; gives exp(r) - 1 and writes 2^k */
static double reduced(double x, double *scale)
{
	const double log2_e = 0x1.71547652b82fep+0;
	double k = tm_round(x * log2_e);
	double r = (x - k * TM_LN2_HIGH) - k * TM_LN2_LOW;

	*scale = tm_power_of_two((int32_t)k);
	return r * tm_polynomial(series, sizeof(series) / sizeof(double), r);
}

double tm_exp_double(double x)
{
	double scale = 0.0;
	double part = reduced(x, &scale);

	return scale + scale * part;
}

double tm_expm1_double(double x)
{
	double scale = 0.0;
	double part = reduced(x, &scale);

	/* scale - 1 is exact, and 0 where x is small: no digit is lost */
	return (scale - 1.0) + scale * part;
}

float tm_exp(float x)
{
	if (tm_is_nan(x))
		return x;
	if (x > TM_EXP_HIGH)
		return TM_INFINITY;
	if (x < TM_EXP_LOW)
		return 0.0f;

	return (float)tm_exp_double(x);
}

float tm_expm1(float x)
{
	if (tm_is_nan(x))
		return x;
	if (x > TM_EXP_HIGH)
		return TM_INFINITY;
	if (x < TM_EXP_LOW)
		return -1.0f;
	if (tm_is_zero(x))
		return x; /* keeps the sign of 0 */

	return (float)tm_expm1_double(x);
}

float tm_tanh(float x)
{
	double e = 0.0;

	if (tm_is_nan(x))
		return x;
	/* 1 - tanh(x) is below 2 exp(-2x), which is nothing from here on */
	if (x > 20.0f)
		return 1.0f;
	if (x < -20.0f)
		return -1.0f;
	if (tm_is_zero(x))
		return x;

	e = tm_expm1_double(2.0 * x);
	return (float)(e / (e + 2.0));
}

float tm_sigmoid(float x)
{
	if (tm_is_nan(x))
		return x;
	if (x > TM_EXP_HIGH)
		return 1.0f;
	if (x < TM_EXP_LOW)
		return 0.0f;

	return (float)(1.0 / (1.0 + tm_exp_double(-(double)x)));
}
