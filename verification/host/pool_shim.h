/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Just enough of a trusted OS for a page pool to be compiled on the host: no locks to wait for, one
 * thread whose active TA the caller chooses, and the C library's heap.
 */
#ifndef SHIM_H
#define SHIM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __unused __attribute__((unused))
#define __maybe_unused __attribute__((unused))

typedef uint64_t paddr_t;
typedef uint64_t paddr_size_t;

typedef struct {
	uint32_t timeLow;
	uint16_t timeMid;
	uint16_t timeHiAndVersion;
	uint8_t clockSeqAndNode[8];
} TEE_UUID;

struct ts_ctx {
	TEE_UUID uuid;
};

struct thread_specific_data {
	struct ts_ctx *ctx;
};

extern struct thread_specific_data shim_tsd;
extern int shim_thread;

static inline short int thread_get_id_may_fail(void)
{
	return shim_thread;
}

static inline struct thread_specific_data *thread_get_tsd(void)
{
	assert(shim_thread >= 0);
	return &shim_tsd;
}

#ifndef SHIM_SYSTEM /* the lockstep has its own: locks that are watched, a heap that fails */
#define SPINLOCK_UNLOCK 0
#define cpu_spin_lock_xsave(lock) ((void)(lock), 0U)
#define cpu_spin_unlock_xrestore(lock, state) ((void)(lock), (void)(state))
#define panic(...) abort()
#endif

#define MAF_NULL 0x0
#define MAF_NEX 0x1
#define MAF_ZERO_INIT 0x2
#define MAF_HI_ALLOC 0x10
#define MALLOC_DEFAULT_ALIGNMENT 16
#ifndef SHIM_SYSTEM
#define malloc_flags(flags, ptr, align, size) ((void)(flags), calloc(1, size))
#define free_flags(flags, ptr) ((void)(flags), free(ptr))
#define nex_malloc malloc
#define nex_calloc calloc
#define nex_free free
#endif

#define MIN(a, b) \
	(__extension__({ __typeof__(a) _x = (a); __typeof__(b) _y = (b); \
			 _x < _y ? _x : _y; }))
#define MAX(a, b) \
	(__extension__({ __typeof__(a) _v = (a); __typeof__(b) _w = (b); \
			 _v > _w ? _v : _w; }))
#define ROUNDUP2(v, size) (((v) + (size) - 1) & ~((__typeof__(v))(size) - 1))
#define ROUNDDOWN2(v, size) ((v) & ~((__typeof__(v))(size) - 1))

#endif /*SHIM_H*/
