// SPDX-License-Identifier: BSD-2-Clause
#include <mm/core_mmu.h>
#include <mm/tee_mm.h>

static tee_mm_pool_t *the_pool;

static tee_mm_pool_t *init_pool(paddr_t b, paddr_size_t sz, uint32_t flags)
{
	tee_mm_pool_t *pool = calloc(1, sizeof(*pool));

	if (!pool)
		panic("no pool");
	if (!tee_mm_init(pool, b, sz, CORE_MMU_USER_CODE_SHIFT, flags))
		panic("no list");

	return pool;
}

void phys_mem_init(paddr_t base, paddr_size_t size)
{
	the_pool = init_pool(base, size, 0);
}

tee_mm_entry_t *phys_mem_ta_alloc(size_t size)
{
	return tee_mm_alloc_flags(the_pool, size, 0);
}
