/* SPDX-License-Identifier: BSD-2-Clause */
/* Identity and size of the hog TA: small itself, it takes memory on command */
#ifndef USER_TA_HEADER_DEFINES_H
#define USER_TA_HEADER_DEFINES_H

#include "tessera_hog_ta.h"

#define TA_UUID		TESSERA_HOG_UUID

/* One instance per session: closing the session gives all its memory back */
#define TA_FLAGS	0

#define TA_STACK_SIZE	(4 * 1024)
#define TA_DATA_SIZE	(16 * 1024)

#define TA_VERSION	"1.0"
#define TA_DESCRIPTION	"Tessera hog: an ordinary TA that takes memory"

#endif /* USER_TA_HEADER_DEFINES_H */
