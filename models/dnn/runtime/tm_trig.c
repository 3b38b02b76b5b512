// SPDX-License-Identifier: BSD-2-Clause
/*
 * sin and cos, for every float32.
 *
 * x = n pi/2 + r with |r| <= pi/4. Small x are reduced in double with pi/2 in
 * three parts; large ones as integers: x is a whole number of 24 bits times a
 * power of two, and of 2/pi only the bits matter that give n modulo 4 and the
 * fraction behind it.
 */
#include "tm_core.h"
#include "tm_math.h"

/* sin(r) / r and cos(r) in powers of r^2 */
static const double sine[] = {
	1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800,
	1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000,
	-1.0 / 121645100408832000,
};

static const double cosine[] = {
	1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800,
	1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000,
	-1.0 / 6402373705728000,
};

/* The bits of 2/pi behind the point, 32 in each; the first word is 0 */
static const uint32_t two_over_pi[] = {
	0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1,
	0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
};

static double sine_of(double r)
{
	return r * tm_polynomial(sine, sizeof(sine) / sizeof(double), r * r);
}

static double cosine_of(double r)
{
	return tm_polynomial(cosine, sizeof(cosine) / sizeof(double), r * r);
}

/* |x| below 2^20: gives r and writes n modulo 4 */
static double reduce_small(double x, uint32_t *n)
{
	/* pi/2 as 33 + 33 + 53 bits: k has at most 20, so k times them is exact */
	const double high = 0x1.921fb54400000p+0;
	const double middle = 0x1.0b4611a600000p-34;
	const double low = 0x1.3198a2e037073p-69;
	double k = tm_round(x * 0x1.45f306dc9c883p-1);

	*n = (uint32_t)(int32_t)k & 3;
	return ((x - k * high) - k * middle) - k * low;
}

/* x from 2^20 on: gives r and writes n modulo 4 */
static double reduce_large(float x, uint32_t *n)
{
	uint32_t bits = tm_float_bits(x);
	uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
	/*
	 * x is mantissa * 2^e, e from -3 to 104. Bits of 2/pi that count 2^(2 - e)
	 * or more give multiples of 4: the first one that matters is bit e - 1
	 * behind the point, and the table begins 31 bits before bit 1.
	 */
	uint32_t shift = (bits >> 23) - 150 + 30;
	uint32_t word = shift / 32;
	uint32_t part = shift % 32;
	uint64_t high = 0;
	uint64_t low = 0;
	uint64_t product = 0;
	uint64_t below = 0;
	double r = 0.0;

	/* 96 bits of 2/pi from there on */
	high = (uint64_t)two_over_pi[word] << 32 | two_over_pi[word + 1];
	low = (uint64_t)two_over_pi[word + 2] << 32 | two_over_pi[word + 3];
	if (part) {
		high = high << part | low >> (64 - part);
		low <<= part;
	}

	/* x * 2/pi modulo 4 in units of 2^-62, and 32 more bits below */
	below = mantissa * (low >> 32);
	product = mantissa * high + (below >> 32);

	/* To the nearest whole number: the fraction is from -1/2 to 1/2 */
	*n = (uint32_t)((product + (1ULL << 61)) >> 62) & 3;
	r = (double)(int64_t)(product << 2);
	r += (double)(uint32_t)below * 0x1p-30;
	return r * (0x1.921fb54442d18p+0 * 0x1p-64);
}

static double reduced(float x, uint32_t *n)
{
	double r = 0.0;

	if (x < 0x1p20f && x > -0x1p20f)
		return reduce_small(x, n);

	r = reduce_large(x < 0.0f ? -x : x, n);
	if (x < 0.0f) {
		*n = (4 - *n) & 3;
		r = -r;
	}
	return r;
}

/* sin(r + n pi/2) */
static float turned(double r, uint32_t n)
{
	double y = n & 1 ? cosine_of(r) : sine_of(r);

	return (float)(n & 2 ? -y : y);
}

float tm_sin(float x)
{
	uint32_t n = 0;
	double r = 0.0;

	if (tm_is_nan(x) || tm_is_infinite(x))
		return x - x; /* not a number */
	if (tm_is_zero(x))
		return x;

	r = reduced(x, &n);
	return turned(r, n);
}

float tm_cos(float x)
{
	uint32_t n = 0;
	double r = 0.0;

	if (tm_is_nan(x) || tm_is_infinite(x))
		return x - x;

	r = reduced(x, &n);
	return turned(r, n + 1);
}
