// SPDX-License-Identifier: BSD-2-Clause
/* The tree's own page pool, compiled unchanged, behind the calls of lockstep.h. */

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lockstep.h"

#define GUARD ((size_t)1 << 20) /* nothing is mapped on either side of a pool */

static const struct world *now;
static uint8_t *memory[POOLS];
static jmp_buf caught;
const char *panic_text = "";
static char panic_buffer[256];

static unsigned int fail_at, fail_virt; /* which call fails; 0 for none */
static bool injected;
static long heap; /* objects that are allocated */
static int locked; /* locks that are held */

#include "system_shim.h"

struct thread_specific_data shim_tsd;
int shim_thread = -1;

_Noreturn void shim_panic(const char *what, const char *file, int line)
{
	snprintf(panic_buffer, sizeof(panic_buffer), "%s at %s:%d", what, file, line);
	panic_text = panic_buffer;
	longjmp(caught, 1);
}

uint32_t shim_lock(unsigned int *lock)
{
	if (*lock)
		shim_panic("a lock is taken twice", "tree", 0);
	locked++;
	return LOCK_STATE | ++*lock;
}

void shim_unlock(unsigned int *lock, uint32_t state)
{
	if (!*lock || state != (LOCK_STATE | *lock))
		shim_panic("a lock is given back that is not held", "tree", 0);
	*lock = 0;
	locked--;
}

#undef malloc
#undef calloc
#undef free

/* Cleared, like the heap of a TA: what is not set is seen by how it differs, not by chance */
void *shim_alloc(size_t size)
{
	if (fail_at && !--fail_at) {
		injected = true;
		return NULL;
	}
	heap++;
	return calloc(1, size);
}

void *shim_calloc(size_t count, size_t size)
{
	return shim_alloc(count * size);
}

void shim_free(void *ptr)
{
	heap -= ptr != NULL;
	free(ptr);
}

static unsigned int pool_of(paddr_t pa)
{
	for (unsigned int p = 0; p < now->pools; p++)
		if (pa >= now->pool[p].base && (pa - now->pool[p].base) / PAGE < now->pool[p].pages)
			return p;
	return POOLS;
}

void *shim_virt(paddr_t pa, size_t len)
{
	unsigned int p = pool_of(pa);

	if (fail_virt && !--fail_virt) {
		injected = true;
		return NULL;
	}
	if (p == POOLS || !memory[p] || len > now->pool[p].pages * PAGE - (pa - now->pool[p].base))
		return NULL;
	return memory[p] + (pa - now->pool[p].base);
}

#define malloc shim_alloc
#define calloc shim_calloc
#define free shim_free

#include "core/mm/tee_mm.c"
#include "core/mm/phys_mem.c"
#include "core/mm/fobj.c"
#include "core/kernel/ree_fs_ta.c"

#undef malloc
#undef calloc
#undef free

/* With several guests, each has pools of its own beside those of the nexus */
#ifdef CFG_NS_VIRTUALIZATION
#define CORE_POOL core_pool
#define TA_POOL ta_pool
#else
#define CORE_POOL nex_core_pool
#define TA_POOL nex_ta_pool
#endif

/* --- the image that the store has, and whether it is genuine ----------------------------------- */

static size_t image_size;
static uint8_t image_owner;
static bool image_good;

TEE_Result ree_fs_ta_open(const TEE_UUID *uuid, struct ts_store_handle **h)
{
	(void)uuid;
	*h = NULL;
	return TEE_SUCCESS;
}

TEE_Result ree_fs_ta_get_size(const struct ts_store_handle *h, size_t *size)
{
	(void)h;
	*size = image_size;
	return TEE_SUCCESS;
}

TEE_Result ree_fs_ta_get_tag(const struct ts_store_handle *h, uint8_t *tag, unsigned int *len)
{
	(void)h;
	if (tag)
		memset(tag, 0, *len);
	*len = 32;
	return tag ? TEE_SUCCESS : TEE_ERROR_SHORT_BUFFER;
}

/* Fills whole granules, so that clearing less than the rounded size is seen */
static void fill(uint8_t *at, size_t len, uint8_t owner)
{
	for (unsigned int p = 0; p < now->pools; p++) {
		if (!memory[p] || at < memory[p] || at >= memory[p] + now->pool[p].pages * PAGE)
			continue;
		for (size_t g = (at - memory[p]) / PAGE; g * PAGE < (at - memory[p]) + len; g++) {
			memset(memory[p] + g * PAGE, owner + 1, PAGE);
			touched(p, g);
		}
	}
}

TEE_Result ree_fs_ta_read(struct ts_store_handle *h, void *core, void *user, size_t len)
{
	(void)h;
	(void)user;
	fill(core, len, image_owner);
	return image_good ? TEE_SUCCESS : TEE_ERROR_SECURITY;
}

void ree_fs_ta_close(struct ts_store_handle *h)
{
	(void)h;
}

/* --- blocks by slot ---------------------------------------------------------------------------- */

struct held {
	enum { EMPTY, ENTRY, OBJECT, BUFFER } how;
	uint8_t owner;
	tee_mm_entry_t *mm;
	struct fobj *fobj;
	struct ts_store_handle *image;
};

static struct held held[SLOTS];
static struct ts_ctx context;

static void active(unsigned int owner, unsigned int thread)
{
	shim_thread = owner || thread ? 0 : -1;
	shim_tsd.ctx = NULL;
	if (owner) {
		memcpy(&context.uuid, setting.uuid[owner], sizeof(context.uuid));
		shim_tsd.ctx = &context;
	}
}

static tee_mm_pool_t *pool_at(unsigned int p)
{
	return p ? TA_POOL : CORE_POOL;
}

static void say(struct result *r, const tee_mm_entry_t *mm)
{
	r->status = mm ? DONE : REFUSED;
	if (!mm)
		return;
	r->pool = mm->pool == CORE_POOL ? 0 : mm->pool == TA_POOL ? 1 : POOLS;
	r->offset = mm->offset;
	r->size = mm->size;
	r->address = tee_mm_get_smem(mm);
}

static void keep(struct result *r, const struct op *op, struct held what)
{
	bool by_core = op->kind == CORE || op->kind == CORE_TA || op->kind == AT;

	say(r, what.mm);
	what.owner = by_core ? 0 : op->owner;
	if (what.mm)
		held[op->slot] = what;
}

static void give_back(struct held *h)
{
	switch (h->how) {
	case ENTRY:
		tee_mm_free(h->mm);
		break;
	case OBJECT:
		fobj_put(h->fobj);
		break;
	case BUFFER:
		shim_store.close(h->image);
		break;
	default:
		break;
	}
	h->how = EMPTY;
}

static void take_object(struct result *r, const struct op *op)
{
	struct fobj *f = NULL;

	active(op->owner, 0);
	f = fobj_sec_mem_alloc(op->a);
	keep(r, op, (struct held){ .how = OBJECT, .fobj = f,
				   .mm = f ? container_of(f, struct fobj_sec_mem, fobj)->mm : NULL });
}

static void take_image(struct result *r, const struct op *op)
{
	struct ts_store_handle *h = NULL;
	TEE_Result res = TEE_SUCCESS;
	tee_mm_entry_t *mm = NULL;

	image_size = op->a;
	image_owner = op->owner;
	image_good = op->kind == IMAGE;
	active(op->owner, 0);
	res = shim_store.open(&context.uuid, &h);
	if (!res)
		mm = ((struct buf_ree_fs_ta_handle *)(void *)h)->mm;
	keep(r, op, (struct held){ .how = BUFFER, .image = h, .mm = mm });
	if (res == TEE_ERROR_SECURITY)
		r->status = DONE; /* it had its memory, and gave it back */
}

static void shrink(struct result *r, const struct op *op)
{
	struct held *h = held + op->slot;
	paddr_t lo = h->mm->pool->lo + ((paddr_t)(h->mm->offset + op->a) << SMALL_PAGE_SHIFT);

	tee_mm_free(h->mm);
	h->mm = phys_mem_alloc2(lo, (op->b - op->a) << SMALL_PAGE_SHIFT);
	if (!h->mm)
		h->how = EMPTY;
	say(r, h->mm);
}

static void fill_granule(const struct op *op)
{
	tee_mm_entry_t *mm = held[op->slot].mm;
	unsigned int p = mm->pool == CORE_POOL ? 0 : 1;

	fill(memory[p] + (mm->offset + op->a) * PAGE, PAGE, held[op->slot].owner);
}

static void entry_of(struct result *r, const struct op *op, tee_mm_entry_t *mm)
{
	keep(r, op, (struct held){ .how = ENTRY, .mm = mm });
}

static void act(struct result *r, const struct op *op)
{
	active(0, op->slot & 1);
	r->status = DONE;
	switch (op->kind) {
	case CORE:
		entry_of(r, op, phys_mem_core_alloc(op->a));
		break;
	case RAW:
		active(op->owner, 0);
		entry_of(r, op, phys_mem_ta_alloc(op->a));
		break;
	case CORE_TA:
		entry_of(r, op, phys_mem_ta_alloc(op->a));
		break;
	case FOBJ:
		take_object(r, op);
		break;
	case IMAGE:
	case IMAGE_BAD:
		take_image(r, op);
		break;
	case AT:
		entry_of(r, op, phys_mem_alloc2(op->b, op->a));
		break;
	case FREE:
		give_back(held + op->slot);
		break;
	case SHRINK:
		shrink(r, op);
		break;
	case WRITE:
		fill_granule(op);
		break;
	case DIE:
		for (unsigned int i = 0; i < SLOTS; i++)
			if (held[i].how != EMPTY && held[i].owner == op->owner)
				give_back(held + i);
		break;
	case FIND:
		say(r, phys_mem_mm_find(op->a));
		break;
	case RESET:
		phys_mem_stats(&(struct pta_stats_alloc){ }, true);
		break;
	default:
		r->status = NOTHING;
	}
}

static bool sensible(const struct op *op)
{
	bool empty = op->slot < SLOTS && held[op->slot].how == EMPTY;

	if (op->slot >= SLOTS)
		return false;
	if (op->kind <= AT || op->kind == RAW)
		return empty;
	if (op->kind == FREE || op->kind == SHRINK || op->kind == WRITE)
		return !empty;
	return true;
}

static void statistics(struct result *r)
{
	struct pta_stats_alloc s = { };

	for (unsigned int p = 0; p < now->pools; p++) {
		tee_mm_get_pool_stats(pool_at(p), &s, false);
		r->stats[p] = (struct stats){ s.size, s.allocated, s.max_allocated };
	}
	phys_mem_stats(&s, false);
	r->stats[POOLS] = (struct stats){ s.size, s.allocated, s.max_allocated };
}

static struct result take(const struct op *op)
{
	struct result r = { 0 };
	long before = heap;

	if (!sensible(op))
		goto out;
	injected = false;
	fail_at = op->fail == FAIL_VIRT ? 0 : op->fail;
	fail_virt = op->fail == FAIL_VIRT;
	if (setjmp(caught)) {
		memset(&r, 0, sizeof(r));
		r.status = PANIC;
		return r;
	}
	act(&r, op);
	fail_at = 0;
	fail_virt = 0;
	r.injected = injected;
	if (locked)
		shim_panic("a lock is still held", "tree", 0);
	if ((r.status == REFUSED || op->kind == IMAGE_BAD) && op->kind != FIND && heap != before)
		shim_panic("a request that came to nothing leaves heap objects behind", "tree", 0);
out:
	if (setjmp(caught)) {
		r.status = PANIC;
		return r;
	}
	statistics(&r);
	return r;
}

static void begin(const struct world *world)
{
	const struct pool *p = world->pool;

	now = world;
	memset(held, 0, sizeof(held));
	CORE_POOL = NULL;
	TA_POOL = NULL;
	heap = 0;
	locked = 0;
	for (unsigned int i = 0; i < POOLS && world->content; i++) {
		size_t size = world->pool[i].pages * PAGE;

		if (i >= world->pools)
			continue;
		memory[i] = mmap(NULL, size + 2 * GUARD, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory[i] == MAP_FAILED || mprotect(memory[i] + GUARD, size, PROT_READ | PROT_WRITE)) {
			perror("mmap");
			exit(3);
		}
		memory[i] += GUARD;
	}
	active(0, 0);
	if (setjmp(caught)) {
		fprintf(stderr, "the pool cannot be set up: %s\n", panic_text);
		exit(3);
	}
	phys_mem_init(p[0].base, p[0].pages * PAGE, world->pools > 1 ? p[1].base : 0,
		      world->pools > 1 ? p[1].pages * PAGE : 0);
}

static uint8_t holds(unsigned int pool, uint32_t granule, bool every_byte)
{
	const uint8_t *at = memory[pool] + (size_t)granule * PAGE;

	if (!every_byte)
		return at[0] == at[PAGE - 1] && at[0] == at[PAGE / 2] ? at[0] : MIXED;
	return memcmp(at, at + 1, PAGE - 1) ? MIXED : *at;
}

static long end(void)
{
	long left = 0;

	if (setjmp(caught))
		return -1;
	for (unsigned int i = 0; i < SLOTS; i++)
		give_back(held + i);
	for (unsigned int p = 0; p < now->pools; p++) {
		tee_mm_pool_t *pool = pool_at(p);

		left += tee_mm_is_empty(pool) ? 0 : 1;
		tee_mm_final(pool);
		shim_free(pool);
		if (memory[p])
			munmap(memory[p] - GUARD, now->pool[p].pages * PAGE + 2 * GUARD);
		memory[p] = NULL;
	}
	return left + heap;
}

const struct side tree_side = { begin, take, holds, end };
