// SPDX-License-Identifier: BSD-2-Clause
/*
 * log, log1p and pow.
 *
 * x = 2^k m with m from sqrt(1/2) to sqrt(2); with s = (m - 1) / (m + 1),
 * log(m) = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| <= 0.1716: cut after s^23, what
 * follows is below 2^-63 of it.
 */
#include "tm_core.h"
#include "tm_math.h"

/* log((1 + s) / (1 - s)) / s in powers of s^2 */
static const double series[] = {
	2.0, 2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15,
	2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23,
};

/* log(1 + f), where f is m - 1 */
static double near_one(double f)
{
	double s = f / (f + 2.0);

	return s * tm_polynomial(series, sizeof(series) / sizeof(double),
				 s * s);
}

double tm_log_double(double x)
{
	const uint64_t root_half = 0x3fe6a09e667f3bcdULL;
	/* Where m would begin: the exponent then comes out by a shift */
	uint64_t from = tm_double_bits(x) - root_half;
	int32_t exponent = (int32_t)((int64_t)from >> 52);
	double k = exponent;
	double m = tm_double(tm_double_bits(x) -
			     ((uint64_t)(int64_t)exponent << 52));

	return k * TM_LN2_HIGH + (near_one(m - 1.0) + k * TM_LN2_LOW);
}

float tm_log(float x)
{
	if (tm_is_nan(x) || x > 0x1.fffffep127f)
		return x;
	if (x < 0.0f)
		return TM_NAN;
	if (!(x > 0.0f))
		return -TM_INFINITY;

	/* Every float32 above 0 is a normal double */
	return (float)tm_log_double(x);
}

float tm_log1p(float x)
{
	if (tm_is_nan(x) || x > 0x1.fffffep127f)
		return x;
	if (x < -1.0f)
		return TM_NAN;
	if (!(x > -1.0f))
		return -TM_INFINITY;
	if (tm_is_zero(x))
		return x;

	/* Far from 0 the sum with 1 is exact or loses nothing that counts */
	if (x > -0.25f && x < 0.375f)
		return (float)near_one(x);
	return (float)tm_log_double(1.0 + x);
}

/* --- pow ------------------------------------------------------------------ */

static bool is_integer(float y)
{
	double size = y < 0.0f ? -(double)y : (double)y;

	/* From 2^24 on all are */
	return size >= 0x1p24 || !(size < tm_round(size) ||
				   size > tm_round(size));
}

static bool is_odd(float y)
{
	double size = y < 0.0f ? -(double)y : (double)y;

	return size < 0x1p24 && is_integer(y) && ((uint32_t)size & 1);
}

/* x is 0 or infinite, y is not 0 */
static float pow_of_extreme(float x, float y)
{
	bool grows = tm_is_infinite(x) == (y > 0.0f);
	float size = grows ? TM_INFINITY : 0.0f;

	return tm_float_bits(x) >> 31 && is_odd(y) ? -size : size;
}

/* y is infinite, x neither 0 nor infinite */
static float pow_to_extreme(float x, float y)
{
	float size = x < 0.0f ? -x : x;

	if (!(size < 1.0f) && !(size > 1.0f))
		return 1.0f;
	return (size > 1.0f) == (y > 0.0f) ? TM_INFINITY : 0.0f;
}

/* x^y for finite x above 0 and finite y */
static double pow_of_positive(double x, double y)
{
	double power = y * tm_log_double(x);

	/* Beyond these a float32 is infinite or 0 in any case */
	if (power > 200.0)
		power = 200.0;
	if (power < -200.0)
		power = -200.0;
	return tm_exp_double(power);
}

float tm_pow(float x, float y)
{
	double size = x < 0.0f ? -(double)x : (double)x;
	double result = 0.0;

	if (tm_float_bits(x) == tm_float_bits(1.0f) || tm_is_zero(y))
		return 1.0f;
	if (tm_is_nan(x) || tm_is_nan(y))
		return x + y;
	if (tm_is_zero(x) || tm_is_infinite(x)) {
		if (tm_is_infinite(y))
			return tm_is_infinite(x) == (y > 0.0f) ? TM_INFINITY : 0.0f;
		return pow_of_extreme(x, y);
	}
	if (tm_is_infinite(y))
		return pow_to_extreme(x, y);
	if (x < 0.0f && !is_integer(y))
		return TM_NAN;

	result = pow_of_positive(size, y);
	return (float)(x < 0.0f && is_odd(y) ? -result : result);
}
