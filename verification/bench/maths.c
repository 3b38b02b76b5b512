// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every float32 argument (or every STEP-th) of one function of tiny math, beside the host's libm in
 * double, which errs by a few units in its own last place.
 *
 *	maths FUNCTION STEP			one argument
 *	maths pow COUNT SEED			so many pairs, drawn
 *	maths speed FUNCTION			nanoseconds per call, ours and libm's
 *
 * Prints a line "hard BITS RESULT" for every argument where libm cannot tell the right float32 (the
 * caller asks a library of more digits), then what was counted. An error is in units in the last
 * place of the right result.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tm_math.h"

/* In units in the last place of double: what libm may be off by, and more */
#define DOUBT	16.0

struct function {
	const char *name;
	float (*ours)(float x);
	double (*theirs)(double x);
	float (*theirs_float)(float x);	/* for time */
};

struct count {
	uint64_t tried;
	uint64_t misrounded;
	uint64_t hard;
	uint64_t special;	/* NaN or infinity where there should be none, or none where there should */
	double worst;
	uint32_t worst_x;
	uint32_t worst_y;
};

static double rsqrt_of(double x)
{
	return 1.0 / sqrt(x);
}

static double sigmoid_of(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

static float rsqrtf_of(float x)
{
	return 1.0f / sqrtf(x);
}

static float sigmoidf_of(float x)
{
	return 1.0f / (1.0f + expf(-x));
}

static const struct function functions[] = {
	{ "exp", tm_exp, exp, expf },
	{ "expm1", tm_expm1, expm1, expm1f },
	{ "log", tm_log, log, logf },
	{ "log1p", tm_log1p, log1p, log1pf },
	{ "sqrt", tm_sqrt, sqrt, sqrtf },
	{ "rsqrt", tm_rsqrt, rsqrt_of, rsqrtf_of },
	{ "sin", tm_sin, sin, sinf },
	{ "cos", tm_cos, cos, cosf },
	{ "tanh", tm_tanh, tanh, tanhf },
	{ "sigmoid", tm_sigmoid, sigmoid_of, sigmoidf_of },
	{ "erf", tm_erf, erf, erff },
};

static float some_power(float x, float (*power)(float x, float y))
{
	return power(x, 0.3f);
}

static float from_bits(uint32_t bits)
{
	float x = 0.0f;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint32_t bits_of(float x)
{
	uint32_t bits = 0;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* The distance from |y| to the next float32 above it */
static double unit_of(float y)
{
	int exponent = 0;

	frexp(y, &exponent);
	return ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* Whether the right result may lie on the other side of the middle between two float32 */
static int in_doubt(double right)
{
	double doubt = fabs(right) * 0x1p-53 * DOUBT;

	return (float)(right - doubt) != (float)(right + doubt);
}

static void judge(struct count *count, uint32_t x, uint32_t y, float ours, double right)
{
	float rounded = (float)right;
	double error = 0.0;

	count->tried++;
	if (isnan(right) || isinf(rounded)) {
		if (isnan(right) ? !isnan(ours) : ours != rounded)
			count->special++;
		return;
	}
	if (!isfinite(ours) || (rounded == 0.0f && signbit(ours) != signbit(rounded))) {
		count->special++;
		return;
	}
	error = fabs((double)ours - right) / unit_of(rounded);
	if (error > count->worst) {
		count->worst = error;
		count->worst_x = x;
		count->worst_y = y;
	}
	if (right != (double)rounded && in_doubt(right)) {
		count->hard++;
		printf("hard %08x %08x %08x\n", x, y, bits_of(ours));
	} else if (ours != rounded) {
		count->misrounded++;
	}
}

static void every(const struct function *f, uint64_t step, struct count *count)
{
	uint64_t i = 0;

	for (i = 0; i <= UINT32_MAX; i += step) {
		float x = from_bits((uint32_t)i);

		judge(count, (uint32_t)i, 0, f->ours(x), f->theirs((double)x));
	}
}

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Of four pairs one is of any bits; one has x near 1; in one x^y is within a float32's range; one has
 * small whole numbers, negative ones too.
 */
static void pairs(uint64_t n, uint64_t seed, struct count *count)
{
	uint64_t state = seed;
	uint64_t i = 0;

	for (i = 0; i < n; i++) {
		uint64_t bits = draw(&state);
		float x = from_bits((uint32_t)bits);
		float y = from_bits((uint32_t)(bits >> 32));

		switch (i % 4) {
		case 1:
			x = from_bits(0x3f800000u + (int32_t)(bits % 4096) - 2048);
			break;
		case 2:
			x = from_bits((uint32_t)bits & 0x7fffffff);
			y = (float)((double)(int32_t)(bits >> 32) * 0x1p-31 * 104 / (log(x) + 1e-9));
			break;
		case 3:
			x = (float)(int32_t)(bits % 201) - 100;
			y = (float)(int32_t)(bits >> 32) * 0x1p-27f;
			if (bits & 1 << 20)
				y = rintf(y);
			break;
		default:
			break;
		}
		judge(count, bits_of(x), bits_of(y), tm_pow(x, y), pow((double)x, (double)y));
	}
}

/* Nanoseconds per call, over arguments from 1/8 to 8 in an order that no branch foresees */
static double time_of(float (*f)(float x), float (*power)(float x, float y))
{
	const int calls = 1 << 22;
	struct timespec from = { 0 };
	struct timespec to = { 0 };
	uint64_t state = 1234567;
	volatile float sink = 0.0f;
	float sum = 0.0f;
	int i = 0;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (i = 0; i < calls; i++) {
		float x = from_bits(0x3e000000u + (uint32_t)(draw(&state) % 0x03000000u));

		sum += f ? f(x) : some_power(x, power);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	sink = sum;
	(void)sink;
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / calls;
}

static void speed(const char *name)
{
	size_t i = 0;

	if (!strcmp(name, "pow"))
		printf("%.3f %.3f\n", time_of(NULL, tm_pow), time_of(NULL, powf));
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(name, functions[i].name))
			printf("%.3f %.3f\n", time_of(functions[i].ours, NULL),
			       time_of(functions[i].theirs_float, NULL));
}

int main(int argc, char **argv)
{
	struct count count = { 0 };
	size_t i = 0;

	if (argc < 3)
		return 2;
	if (!strcmp(argv[1], "speed")) {
		speed(argv[2]);
		return 0;
	}
	if (!strcmp(argv[1], "pow") && argc == 4) {
		pairs(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), &count);
	} else {
		for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
			if (!strcmp(argv[1], functions[i].name))
				every(&functions[i], strtoull(argv[2], NULL, 10), &count);
		if (!count.tried)
			return 2;
	}
	printf("tried %llu misrounded %llu special %llu hard %llu worst %.9f %08x %08x\n",
	       (unsigned long long)count.tried, (unsigned long long)count.misrounded,
	       (unsigned long long)count.special, (unsigned long long)count.hard, count.worst,
	       count.worst_x, count.worst_y);
	return 0;
}
