/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of tiny math share: bits of numbers, and cores in double */
#ifndef TM_CORE_H
#define TM_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* ln 2 in two parts: the first has 32 bits, so k times it is exact */
#define TM_LN2_HIGH	0x1.62e42feep-1
#define TM_LN2_LOW	0x1.a39ef35793c76p-33

#define TM_INFINITY	(__builtin_inff())
#define TM_NAN		(__builtin_nanf(""))

static inline uint32_t tm_float_bits(float x)
{
	uint32_t bits = 0;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* By their bits: comparisons would do, but compilers warn of them */
static inline bool tm_is_nan(float x)
{
	return tm_float_bits(x) << 1 > 0xff000000u;
}

static inline bool tm_is_infinite(float x)
{
	return tm_float_bits(x) << 1 == 0xff000000u;
}

static inline bool tm_is_zero(float x)
{
	return tm_float_bits(x) << 1 == 0;
}

static inline uint64_t tm_double_bits(double x)
{
	uint64_t bits = 0;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline double tm_double(uint64_t bits)
{
	double x = 0.0;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* 2 to the power of k, for k from -1022 to 1023 */
static inline double tm_power_of_two(int32_t k)
{
	return tm_double((uint64_t)(k + 1023) << 52);
}

/* The nearest integer; halves go to the even one. |x| must be below 2^51 */
static inline double tm_round(double x)
{
	const double shift = 0x1.8p52;

	return (x + shift) - shift;
}

/*
 * c[0] + c[1] * x + ... + c[count - 1] * x^(count - 1), the even and the odd
 * powers apart: two sums that do not wait for each other
 */
static inline double tm_polynomial(const double *c, uint32_t count, double x)
{
	double square = x * x;
	double even = 0.0;
	double odd = 0.0;
	uint32_t i = 0;

	/* Count is even everywhere */
	for (i = count; i > 0; i -= 2) {
		even = even * square + c[i - 2];
		odd = odd * square + c[i - 1];
	}

	return even + x * odd;
}

/* exp(x) in double, for x from -708 to 709 */
double tm_exp_double(double x);
/* exp(x) - 1 in double, for x from -708 to 709; its relative error is small */
double tm_expm1_double(double x);
/* log(x) in double, for normal numbers above 0 */
double tm_log_double(double x);

#endif /* TM_CORE_H */
