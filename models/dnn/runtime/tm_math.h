/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tiny math: the functions that networks need, for float32, without a libm.
 *
 * Every function computes in double and rounds once at its end, so that the
 * error is half a unit in the last place and a hair; what it is for each of
 * them over all 2^32 arguments is measured by verification/bench/maths.py.
 * tm_sqrt() is correctly rounded. Special values are those of C11's Annex F.
 * No tables in memory but a few constants, no state, no errno, no flags: the
 * rounding mode must be to nearest.
 *
 * Non-goals: double results, other rounding modes, and vectors.
 */
#ifndef TM_MATH_H
#define TM_MATH_H

float tm_exp(float x);
/* exp(x) - 1 */
float tm_expm1(float x);
float tm_log(float x);
/* log(1 + x) */
float tm_log1p(float x);
float tm_sqrt(float x);
/* 1 / sqrt(x) */
float tm_rsqrt(float x);
float tm_sin(float x);
float tm_cos(float x);
float tm_tanh(float x);
/* 1 / (1 + exp(-x)) */
float tm_sigmoid(float x);
float tm_erf(float x);
float tm_pow(float x, float y);

#endif /* TM_MATH_H */
