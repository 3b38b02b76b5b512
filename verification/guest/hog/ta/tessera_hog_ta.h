/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the hog TA and its client agree on.
 *
 * The hog stands for any ordinary TA: it asks the trusted OS for memory of its
 * own through the interface that TAs have for it, again and again until it is
 * refused, and keeps what it got until its session closes.
 */
#ifndef TESSERA_HOG_TA_H
#define TESSERA_HOG_TA_H

#define TESSERA_HOG_UUID \
	{ 0xa1f47c90, 0x3be2, 0x4d57, \
		{ 0x8c, 0x6b, 0x95, 0xd2, 0x0e, 0x7f, 0x4b, 0x13 } }

/*
 * Takes blocks of one size until refused.
 * [in]  value[0].a: bytes of a block, .b: most blocks to take
 * [out] value[1].a: blocks taken, .b: result code of the refusal, or 0
 */
#define TESSERA_HOG_CMD_TAKE	0

#endif /* TESSERA_HOG_TA_H */
