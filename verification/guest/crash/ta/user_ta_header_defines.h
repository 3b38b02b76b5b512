/* SPDX-License-Identifier: BSD-2-Clause */
/* The identity and size of the inference TA: a policy takes it for that one */
#include "../../../../models/dnn/ta/user_ta_header_defines.h"
