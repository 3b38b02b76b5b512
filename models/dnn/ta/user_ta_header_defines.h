/* SPDX-License-Identifier: BSD-2-Clause */
/* Identity and size of the inference TA */
#ifndef USER_TA_HEADER_DEFINES_H
#define USER_TA_HEADER_DEFINES_H

#include "tessera_dnn_ta.h"

#define TA_UUID		TESSERA_DNN_UUID

/* One instance per session: closing the session gives all its memory back */
#define TA_FLAGS	0

/*
 * The deepest call takes less than 1 KiB. The heap holds two model files of
 * the largest size (the new one is checked while the old one stays in use) and
 * leaves 128 KiB for arenas and bookkeeping.
 */
#define TA_STACK_SIZE	(8 * 1024)
#define TA_DATA_SIZE	(1024 * 1024)

#define TA_VERSION	"1.0"
#define TA_DESCRIPTION	"Tessera inference"

#endif /* USER_TA_HEADER_DEFINES_H */
