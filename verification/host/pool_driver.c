// SPDX-License-Identifier: BSD-2-Clause
/* What a caller sees: one pool, blocks by number, offsets in granules; NONE for a refused request. */

#include "pool_shim.h"
#include "tee_mm.c"

#define BLOCKS 4096
#define NONE UINT32_MAX
#define BASE 0x0e300000ULL
#define SHIFT 12

struct thread_specific_data shim_tsd;
int shim_thread = -1;

static tee_mm_pool_t pool;
static tee_mm_entry_t *blocks[BLOCKS];
static struct ts_ctx active;

void driver_init(uint32_t pages, bool by_class)
{
	memset(blocks, 0, sizeof(blocks));
	if (!tee_mm_init(&pool, BASE, (paddr_size_t)pages << SHIFT, SHIFT, 0))
		abort();
#ifdef BY_CLASS
	if (by_class)
		pool.pages = pages;
#else
	(void)by_class;
#endif
}

/* The TA whose context is active; no TA when NULL, no thread when @thread is negative */
void driver_active(const TEE_UUID *uuid, int thread)
{
	shim_thread = thread;
	shim_tsd.ctx = NULL;
	if (uuid) {
		active.uuid = *uuid;
		shim_tsd.ctx = &active;
	}
}

static uint32_t keep(uint32_t id, tee_mm_entry_t *mm)
{
	blocks[id] = mm;
	return mm ? mm->offset : NONE;
}

uint32_t driver_alloc(uint32_t id, uint64_t bytes)
{
#ifdef NO_FLAGS
	return keep(id, tee_mm_alloc(&pool, bytes));
#else
	return keep(id, tee_mm_alloc_flags(&pool, bytes, 0));
#endif
}

uint32_t driver_alloc_at(uint32_t id, uint32_t offset, uint64_t bytes)
{
	paddr_t base = BASE + ((paddr_t)offset << SHIFT);

	return keep(id, tee_mm_alloc2(&pool, base, bytes));
}

uint32_t driver_size(uint32_t id)
{
	return blocks[id]->size;
}

void driver_free(uint32_t id)
{
	tee_mm_free(blocks[id]);
	blocks[id] = NULL;
}
