/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef __MM_TEE_MM_H
#define __MM_TEE_MM_H

#include <malloc.h>
#include <types_ext.h>

typedef struct _tee_mm_pool_t tee_mm_pool_t;
typedef struct _tee_mm_entry_t tee_mm_entry_t;

/* A range that is taken; the list is sorted and starts with an empty range */
struct _tee_mm_entry_t {
	tee_mm_pool_t *pool;
	tee_mm_entry_t *next;
	uint32_t offset;
	uint32_t size;
};

struct _tee_mm_pool_t {
	tee_mm_entry_t *entry;
	paddr_t lo;
	paddr_size_t size;
	uint32_t flags;
	uint8_t shift;		/* log2 of the granule */
	unsigned int lock;
};

bool tee_mm_init(tee_mm_pool_t *pool, paddr_t lo, paddr_size_t size,
		 uint8_t shift, uint32_t flags);
tee_mm_entry_t *tee_mm_alloc_flags(tee_mm_pool_t *pool, size_t size,
				   uint32_t flags);
tee_mm_entry_t *tee_mm_alloc2(tee_mm_pool_t *pool, paddr_t base, size_t size);
void tee_mm_free(tee_mm_entry_t *p);
uintptr_t tee_mm_get_smem(const tee_mm_entry_t *mm);
size_t tee_mm_get_bytes(const tee_mm_entry_t *mm);

#endif /*__MM_TEE_MM_H*/
