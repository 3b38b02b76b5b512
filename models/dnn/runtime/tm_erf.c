// SPDX-License-Identifier: BSD-2-Clause
/*
 * erf: Taylor's series around the nearest multiple of 1/2.
 *
 * With y = erf, y'' = -2 x y', so around c the factors of the series follow
 * from the two before: (n + 2)(n + 1) a[n + 2] = -2 c (n + 1) a[n + 1] - 2 n a[n].
 */
#include "tm_core.h"
#include "tm_math.h"

/* From here on erf(x) rounds to 1 */
#define LAST		4.0f
#define TERMS		17

/* erf(k / 2) and its slope there, 2 / sqrt(pi) * exp(-k^2 / 4) */
static const double value[] = {
	0x0.0p+0, 0x1.0a7ef5c18edd2p-1, 0x1.af767a741088bp-1,
	0x1.eea5557137ae0p-1, 0x1.fd9ae142795e3p-1, 0x1.ffcaa8f4c9beap-1,
	0x1.fffd1ac4135f9p-1, 0x1.ffffe710d565ep-1, 0x1.ffffff7b91176p-1,
};

static const double slope[] = {
	0x1.20dd750429b6dp+0, 0x1.c1efca49a5011p-1, 0x1.a911f096fbc26p-2,
	0x1.e723726b824a9p-4, 0x1.529b9e8cf9a1ep-6, 0x1.1d83170fbf6fbp-9,
	0x1.2408e9ba3327fp-13, 0x1.6a597219a93dap-18, 0x1.10b1488aeb235p-23,
};

/* The part of the series behind the value: d is the distance, at most 1/4 */
static double series(double c, double first, double d)
{
	double a = first;	/* a[n] */
	double b = -c * first;	/* a[n + 1] */
	double power = d;
	double sum = 0.0;
	int n = 1;

	for (n = 1; n < TERMS; n++) {
		double next = (-2.0 * c * (n + 1) * b - 2.0 * n * a) /
			      ((n + 2) * (n + 1));

		sum += a * power;
		power *= d;
		a = b;
		b = next;
	}

	return sum;
}

float tm_erf(float x)
{
	double size = x < 0.0f ? -(double)x : (double)x;
	double c = 0.0;
	double y = 0.0;
	int k = 0;

	if (tm_is_nan(x) || tm_is_zero(x))
		return x;
	if (size > (double)LAST)
		return x < 0.0f ? -1.0f : 1.0f;

	c = 0.5 * tm_round(2.0 * size);
	k = (int)(2.0 * c);
	y = value[k] + series(c, slope[k], size - c);
	return (float)(x < 0.0f ? -y : y);
}
