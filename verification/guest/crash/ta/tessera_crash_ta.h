/* SPDX-License-Identifier: BSD-2-Clause */
/* What the TA that panics and its client agree on, beside tessera_dnn_ta.h */
#ifndef TESSERA_CRASH_TA_H
#define TESSERA_CRASH_TA_H

/*
 * Says where the session's TA panics.
 * [in]  value[0].a: one of the points
 */
#define TESSERA_CRASH_CMD_ARM	0x100

#define TESSERA_CRASH_NEVER	0
#define TESSERA_CRASH_LOADED	1	/* the model was loaded */
#define TESSERA_CRASH_MIDDLE	2	/* half of the layers have run */
#define TESSERA_CRASH_RESULT	3	/* the result was given out */

#endif /* TESSERA_CRASH_TA_H */
