// SPDX-License-Identifier: BSD-2-Clause
/* A sorted list of taken ranges, first fit from low: the shape of OP-TEE's pool, in small. */

#include <kernel/spinlock.h>
#include <mm/tee_mm.h>
#include <mm/tee_pager.h>
#include <util.h>

bool tee_mm_init(tee_mm_pool_t *pool, paddr_t lo, paddr_size_t size,
		 uint8_t shift, uint32_t flags)
{
	*pool = (tee_mm_pool_t){ .lo = lo, .size = size, .shift = shift };
	pool->flags = flags;
	pool->entry = calloc(1, sizeof(*pool->entry));
	return pool->entry;
}

static void tee_mm_add(tee_mm_entry_t *after, tee_mm_entry_t *what)
{
	what->next = after->next;
	after->next = what;
}

/* The first page of the gap that follows @e */
static uint32_t gap_start(const tee_mm_entry_t *e)
{
	return e->offset + e->size;
}

static uint32_t gap_end(const tee_mm_pool_t *pool, const tee_mm_entry_t *e)
{
	return e->next ? e->next->offset : pool->size >> pool->shift;
}

tee_mm_entry_t *tee_mm_alloc_flags(tee_mm_pool_t *pool, size_t size,
				   uint32_t flags __unused)
{
	tee_mm_entry_t *nn = calloc(1, sizeof(*nn));
	tee_mm_entry_t *entry = NULL;
	uint32_t exceptions = 0;
	size_t psize = 0;

	if (!nn)
		return NULL;
	exceptions = cpu_spin_lock_xsave(&pool->lock);
	entry = pool->entry;
	if (size == 0)
		psize = 0;
	else
		psize = ((size - 1) >> pool->shift) + 1;

	/* The first gap that is large enough */
	while (psize > gap_end(pool, entry) - gap_start(entry)) {
		entry = entry->next;
		if (!entry)
			goto err;
	}

	tee_mm_add(entry, nn);
	nn->offset = gap_start(entry);
	nn->size = psize;
	nn->pool = pool;
	cpu_spin_unlock_xrestore(&pool->lock, exceptions);
	return nn;
err:
	cpu_spin_unlock_xrestore(&pool->lock, exceptions);
	free(nn);
	return NULL;
}

tee_mm_entry_t *tee_mm_alloc2(tee_mm_pool_t *pool, paddr_t base, size_t size)
{
	uint32_t first = (base - pool->lo) >> pool->shift;
	uint32_t count = ((size - 1) >> pool->shift) + 1;
	tee_mm_entry_t *nn = calloc(1, sizeof(*nn));
	tee_mm_entry_t *e = pool->entry;

	while (e->next && e->next->offset < first)
		e = e->next;
	if (!nn || first < gap_start(e) || first + count > gap_end(pool, e)) {
		free(nn);
		return NULL;
	}
	*nn = (tee_mm_entry_t){ .pool = pool, .offset = first, .size = count };
	tee_mm_add(e, nn);
	return nn;
}

void tee_mm_free(tee_mm_entry_t *p)
{
	tee_mm_entry_t *entry = NULL;

	if (!p)
		return;
	for (entry = p->pool->entry; entry->next && entry->next != p;)
		entry = entry->next;
	if (!entry->next)
		panic("unknown entry");
	entry->next = p->next;
	free(p);
}

uintptr_t tee_mm_get_smem(const tee_mm_entry_t *mm)
{
	return mm->pool->lo + ((uintptr_t)mm->offset << mm->pool->shift);
}

size_t tee_mm_get_bytes(const tee_mm_entry_t *mm)
{
	return mm ? (size_t)mm->size << mm->pool->shift : 0;
}
