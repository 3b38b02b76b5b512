/* SPDX-License-Identifier: BSD-2-Clause */
/* Identity and size of the TA for sealed packages */
#ifndef USER_TA_HEADER_DEFINES_H
#define USER_TA_HEADER_DEFINES_H

#include "tessera_sealed_ta.h"

#define TA_UUID		TESSERA_SEALED_UUID

/* One instance per session: closing the session gives all its memory back */
#define TA_FLAGS	0

/*
 * make SEALED_STACK=... SEALED_DATA=... says otherwise; the plan knows. The
 * heap holds the arena, two buffers of a chunk (code, packed weights), the
 * manifest, and about 8 KiB beside.
 */
#ifdef SEALED_STACK
#define TA_STACK_SIZE	(SEALED_STACK)
#else
#define TA_STACK_SIZE	(16 * 1024)
#endif

#ifdef SEALED_DATA
#define TA_DATA_SIZE	(SEALED_DATA)
#else
#define TA_DATA_SIZE	(1024 * 1024)
#endif

#define TA_VERSION	"1.0"
#define TA_DESCRIPTION	"Tessera inference from sealed packages"

#endif /* USER_TA_HEADER_DEFINES_H */
