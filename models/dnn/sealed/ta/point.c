// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whether a point is on P-256: y^2 = x^3 - 3x + b mod p (FIPS 186-4, D.1.2.3).
 *
 * An ECDH with a point of another curve tells bits of the private key. Not
 * every trusted OS looks, and those that do may end the TA.
 */
#include "point.h"

#define BITS	256u
#define WORDS	TEE_BigIntSizeInU32(BITS)

static const uint8_t prime[POINT_COORDINATE] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static const uint8_t constant[POINT_COORDINATE] = {
	0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd,
	0x55, 0x76, 0x98, 0x86, 0xbc, 0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53,
	0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
};

static bool number(TEE_BigInt *value, const uint8_t bytes[POINT_COORDINATE])
{
	TEE_BigIntInit(value, WORDS);

	return !TEE_BigIntConvertFromOctetString(value, bytes,
						 POINT_COORDINATE, 0);
}

bool point_is_valid(const uint8_t point[TESSERA_SEALED_POINT])
{
	TEE_BigInt x[WORDS] = { 0 };
	TEE_BigInt y[WORDS] = { 0 };
	TEE_BigInt p[WORDS] = { 0 };
	TEE_BigInt b[WORDS] = { 0 };
	TEE_BigInt three[WORDS] = { 0 };
	TEE_BigInt square[WORDS] = { 0 };
	TEE_BigInt factor[WORDS] = { 0 };
	TEE_BigInt cube[WORDS] = { 0 };
	TEE_BigInt sum[WORDS] = { 0 };

	if (point[0] != 4)
		return false;
	if (!number(x, point + 1) || !number(y, point + 1 + POINT_COORDINATE) ||
	    !number(p, prime) || !number(b, constant))
		return false;
	if (TEE_BigIntCmp(x, p) >= 0 || TEE_BigIntCmp(y, p) >= 0)
		return false;

	TEE_BigIntInit(three, WORDS);
	TEE_BigIntInit(square, WORDS);
	TEE_BigIntInit(factor, WORDS);
	TEE_BigIntInit(cube, WORDS);
	TEE_BigIntInit(sum, WORDS);
	TEE_BigIntConvertFromS32(three, 3);
	TEE_BigIntMulMod(square, x, x, p);
	TEE_BigIntSubMod(factor, square, three, p);
	TEE_BigIntMulMod(cube, factor, x, p);	/* x (x^2 - 3) */
	TEE_BigIntAddMod(sum, cube, b, p);
	TEE_BigIntMulMod(square, y, y, p);

	return !TEE_BigIntCmp(square, sum);
}
