// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tree's own page pool under CBMC: any pool with BLOCKS live blocks that satisfies the spec's
 * invariants, and then one operation. What must hold is in spec.inc, which is generated from
 * the spec (kit/tessera/conform/cbmc_harness.py); what is here is how the two sides are tied.
 *
 * ASKER: who asks for memory; not defined: any thread and any UUID; 0: the core; k + 1: a TA of
 * class k. PLACE: a granule of interest (where the new block is, or any that a refused request
 * could have had) is one with so many blocks before it; not defined: any. GAP: the same of the first
 * 32-bit number of any value that a property of the spec speaks of. WITH_STATS: compiled with
 * CFG_WITH_STATS.
 *
 * Whatever can be a constant is one, and every object is one of its own: the formula that CBMC
 * makes is small then. A block is taken in a branch for each, not by a number of any value.
 */

#include "system_shim.h"
#ifndef WITH_STATS
#undef CFG_WITH_STATS
#endif

#define CHECK(test, name) __CPROVER_assert(test, name)
#define TESSERA_SHIFT 12
#define LIVE (BLOCKS + 1)
#define MOST_PAGES (UINT32_MAX - 1)
/* tee_mm_get_smem() shifts in 32 bits: where blocks are addressed, pools are of 4 GiB at most */
#define MOST_ADDRESSED ((uint32_t)1 << 20)

/* --- what the tree's files stand on ------------------------------------------------------------ */

struct thread_specific_data shim_tsd;
int shim_thread;
static long heap; /* objects that are allocated */
static int locked;
static bool heap_failed;

int nondet_int(void);
bool nondet_bool(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);
TEE_UUID nondet_uuid(void);

_Noreturn void shim_panic(const char *what, const char *file, int line)
{
	(void)what;
	(void)file;
	(void)line;
	CHECK(false, "no_panic");
	__CPROVER_assume(false);
	while (true)
		;
}

uint32_t shim_lock(unsigned int *lock)
{
	CHECK(!*lock, "locks: not taken twice");
	locked++;
	return LOCK_STATE | ++*lock;
}

void shim_unlock(unsigned int *lock, uint32_t state)
{
	CHECK(*lock && state == (LOCK_STATE | *lock), "locks: given back by its holder");
	*lock = 0;
	locked--;
}

/* An address of the pool stands for itself: nothing is stored there, only what is cleared is kept */
void *shim_virt(paddr_t pa, size_t len)
{
	(void)len;
	return (void *)(uintptr_t)pa;
}

static uint64_t cleared_at, cleared_bytes;
static unsigned int clearings;
static bool cleared_while_listed;
static bool listed_now(void);

static void shim_clear(uint64_t at, int value, size_t size)
{
	CHECK(!value, "scrub: with zeros");
	cleared_at = at;
	cleared_bytes = size;
	cleared_while_listed = listed_now();
	clearings++;
}

#undef memtag_clear_mem
#define memtag_clear_mem(va, size) shim_clear((uintptr_t)(va), 0, size)
#define memset(va, value, size) shim_clear((uintptr_t)(va), value, size)
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
#undef memset

/* --- the heap: objects of their own types, so that they are no byte arrays to the model checker -- */

static tee_mm_entry_t head_object, entry_0, entry_1, entry_2, entry_3, entry_4;
static tee_mm_entry_t *const entry_at[] = { &entry_0, &entry_1, &entry_2, &entry_3, &entry_4 };
#if LIVE > 5
#error "no more than four live blocks"
#endif
static tee_mm_pool_t pool_object;
static struct fobj_sec_mem fobj_object;
static struct buf_ree_fs_ta_handle handle_object;
static bool is_held[LIVE];

void *shim_alloc(size_t size)
{
	static bool has_pool, has_head;

	if (size == sizeof(tee_mm_pool_t) && !has_pool) {
		has_pool = true;
		return &pool_object;
	}
	CHECK(size == sizeof(tee_mm_entry_t), "heap: only entries are taken");
	if (!has_head) {
		has_head = true;
		return &head_object;
	}
	CHECK(!is_held[BLOCKS], "heap: one entry for a request");
	if (nondet_bool()) {
		heap_failed = true;
		return NULL;
	}
	is_held[BLOCKS] = true;
	heap++;
	return entry_at[BLOCKS];
}

void *shim_calloc(size_t count, size_t size)
{
	return shim_alloc(count * size);
}

void shim_free(void *ptr)
{
	bool known = !ptr || ptr == &fobj_object || ptr == &handle_object;

	for (unsigned int i = 0; i < LIVE; i++)
		if (ptr == entry_at[i]) {
			CHECK(is_held[i], "heap: given back once");
			is_held[i] = false;
			*entry_at[i] = (tee_mm_entry_t){ }; /* who uses it now is seen */
			heap--;
			known = true;
		}
	CHECK(known, "heap: what was taken is given back");
}

TEE_Result ree_fs_ta_open(const TEE_UUID *uuid, struct ts_store_handle **h)
{
	(void)uuid;
	*h = NULL;
	return TEE_SUCCESS;
}

TEE_Result ree_fs_ta_get_size(const struct ts_store_handle *h, size_t *size)
{
	(void)h;
	*size = nondet_u32();
	return TEE_SUCCESS;
}

TEE_Result ree_fs_ta_get_tag(const struct ts_store_handle *h, uint8_t *tag, unsigned int *len)
{
	(void)h;
	*len = 32;
	return tag ? TEE_SUCCESS : TEE_ERROR_SHORT_BUFFER;
}

TEE_Result ree_fs_ta_read(struct ts_store_handle *h, void *core, void *user, size_t len)
{
	(void)h;
	(void)core;
	(void)user;
	(void)len;
	return nondet_bool() ? TEE_SUCCESS : TEE_ERROR_SECURITY;
}

void ree_fs_ta_close(struct ts_store_handle *h)
{
	(void)h;
}

/* --- the spec's side --------------------------------------------------------------------------- */

/* Blocks by number; owner 0 is the core, owner i + 1 is somebody of class class_of[i + 1] */
struct state {
	bool live[LIVE];
	uint32_t start[LIVE];
	uint32_t size[LIVE];
	uint32_t owner_of[LIVE];
};

static uint32_t pool_pages;
static uint8_t class_of[LIVE + 1];
static tee_mm_pool_t *pool;
static tee_mm_entry_t *entry_of[LIVE];

#pragma CPROVER check push
#pragma CPROVER check disable "unsigned-overflow"
#pragma CPROVER check disable "conversion"
#pragma CPROVER check disable "bounds"
#pragma CPROVER check disable "pointer"
#pragma CPROVER check disable "div-by-zero"
#pragma CPROVER check disable "undefined-shift"

/* Macros, so that what is constant in a formula is seen as such, and no formula branches */
#define s_div(a, b, all) ((b) ? (uint64_t)(a) / (b) : (all))
#define s_mod(a, b) ((b) ? (uint64_t)(a) % (b) : (a))
#define s_shl(a, b, width, all) ((b) < (width) ? ((uint64_t)(a) << (b)) & (all) : 0)
#define s_shr(a, b, width) ((b) < (width) ? (uint64_t)(a) >> (b) : 0)
#define s_min(a, b) ((a) < (b) ? (a) : (b))
#define s_max(a, b) ((a) > (b) ? (a) : (b))

static uint64_t c_physical(const struct state *s, uint64_t b)
{
	(void)s;
	return tee_mm_get_smem(entry_of[b]);
}

static uint64_t c_found(const struct state *s, uint64_t b, uint64_t a)
{
	(void)s;
	return tee_mm_find(pool, a) == entry_of[b];
}

static bool is_gap(uint64_t value);
#include "spec.inc"

#pragma CPROVER check pop

/* --- any pool ---------------------------------------------------------------------------------- */

static struct state before, after;
static uint32_t asker, request, result; /* for the trace */

static tee_mm_entry_t *freed; /* an entry that is to be given back, or NULL */

/* Whether that entry is in the list */
static bool listed_now(void)
{
	tee_mm_entry_t *e = pool->entry;

	for (unsigned int i = 0; i < LIVE && e->next; i++) {
		e = e->next;
		if (e == freed)
			return true;
	}
	return false;
}

/* A pool as the tree makes it, with any list in it that satisfies the invariants */
static void any_pool(uint32_t most)
{
	tee_mm_entry_t *last = NULL;

	pool_pages = nondet_u32();
	__CPROVER_assume(pool_pages >= 1 && pool_pages <= most);
	nex_phys_mem_init(SPEC_BASE, (paddr_size_t)pool_pages << TESSERA_SHIFT, 0, 0);
	pool = nex_core_pool;
	class_of[0] = SPEC_CORE_CLASS;
	spec_tables();
	last = pool->entry;
	for (unsigned int i = 0; i < LIVE; i++) {
		class_of[i + 1] = nondet_u32();
		__CPROVER_assume(class_of[i + 1] < SPEC_CLASSES);
		if (i >= BLOCKS)
			continue;
		entry_of[i] = entry_at[i];
		is_held[i] = true;
		heap++;
		before.live[i] = true;
		before.start[i] = nondet_u32();
		before.size[i] = nondet_u32();
		before.owner_of[i] = nondet_bool() ? 0 : i + 1;
		entry_of[i]->pool = pool;
		entry_of[i]->next = NULL;
		entry_of[i]->offset = before.start[i];
		entry_of[i]->size = before.size[i];
		if (i)
			__CPROVER_assume(before.start[i - 1] < before.start[i]);
		last->next = entry_of[i];
		last = entry_of[i];
	}
	spec_assumed(&before);
	/* It follows from that; said once more it is half of the work of a proof */
	for (unsigned int i = 0; i < BLOCKS; i++) {
		uint64_t end = (uint64_t)before.start[i] + before.size[i];
		uint64_t most_end = i + 1 < BLOCKS ? before.start[i + 1] : pool_pages;

		CHECK(end <= most_end, "ordered: a block ends where the next one starts, or before");
		__CPROVER_assume(end <= most_end);
	}
	after = before;
}

/* The list has the blocks of @after and no other, in the order of their places; @added or none is new */
static void check_list(const tee_mm_entry_t *added)
{
	const tee_mm_entry_t *e = pool->entry;
	unsigned int places = 0;
	uint64_t end = 0;

	CHECK(e && !e->offset && !e->size && e->pool == pool, "list: its head is untouched");
	CHECK(!added || added->pool == pool, "list: the new entry is of this pool");
	for (unsigned int i = 0; i < LIVE; i++) {
		const tee_mm_entry_t *next = i < BLOCKS ? entry_at[i] : NULL;
		uint64_t start = i < BLOCKS ? after.start[i] : UINT32_MAX;
		bool here = added && e->next == added;

		if (i < BLOCKS && !after.live[i])
			continue;
		places += here;
		CHECK((here ? added->next : e->next) == next, "list: every block once, and no other");
		CHECK(!here || (added->offset >= end &&
				(uint64_t)added->offset + added->size <= start),
		      "list: in order, and none meets the next");
		if (next) {
			CHECK(next->offset == after.start[i] && next->size == after.size[i] &&
			      next->pool == pool, "list: no other block is changed");
			end = (uint64_t)after.start[i] + after.size[i];
			e = next;
		}
	}
	CHECK(places == !!added, "list: the new block is in it once");
	CHECK(!locked && !pool->lock, "locks: none is held afterwards");
}

/* Whether @value has @many blocks before it: every value has some number of them, and only one */
static bool has_before(unsigned int many, uint64_t value)
{
	return (!many || before.start[many - 1] <= value) &&
	       (many == BLOCKS || value < before.start[many]);
}

/* The case that is looked at, of BLOCKS + 1 */
static bool is_case(uint32_t granule)
{
#ifdef PLACE
	return has_before(PLACE, granule);
#else
	(void)granule;
	return true;
#endif
}

static bool is_gap(uint64_t value)
{
#ifdef GAP
	return has_before(GAP, value);
#else
	(void)value;
	return true;
#endif
}

static void check_cases(void)
{
	uint32_t value = nondet_u32();
	unsigned int cases = 0;

	for (unsigned int many = 0; many <= BLOCKS; many++)
		cases += has_before(many, value);
	CHECK(cases == 1, "cases: every number is in one");
}

/* The same of the new block: the assertions on the list, asked without cases, say it is in one */
static bool is_case_of(const tee_mm_entry_t *new)
{
#ifdef PLACE
	return (PLACE ? entry_at[PLACE - 1] : pool->entry)->next == new;
#else
	(void)new;
	return true;
#endif
}

/* Any thread, any TA: the owner of what it takes, of the class for which the spec lists its UUID */
static uint32_t any_asker(void)
{
	static struct ts_ctx context;

#ifdef ASKER
	shim_thread = 0;
	shim_tsd.ctx = ASKER ? &context : NULL;
	if (ASKER)
		context.uuid = spec_uuid(ASKER - 1);
#else
	shim_thread = nondet_bool() ? 0 : -1;
	context.uuid = nondet_uuid();
	shim_tsd.ctx = nondet_bool() ? &context : NULL;
#endif
	asker = shim_thread >= 0 && shim_tsd.ctx ? BLOCKS + 1 : 0;
#ifdef ASKER
	if (ASKER)
		class_of[asker] = spec_class(&context.uuid);
#else
	if (asker)
		__CPROVER_assume(class_of[asker] == spec_class(&context.uuid));
#endif
	return asker;
}

static uint64_t any_size(uint32_t *granules)
{
	uint64_t bytes = nondet_u64();

	__CPROVER_assume(bytes && bytes <= (uint64_t)UINT32_MAX << TESSERA_SHIFT);
	*granules = ((bytes - 1) >> TESSERA_SHIFT) + 1;
	request = *granules;
	return bytes;
}

/* --- one operation ----------------------------------------------------------------------------- */

void harness_alloc(void)
{
	const tee_mm_entry_t *new = entry_at[BLOCKS];
	tee_mm_entry_t *got = NULL;
	uint32_t granules = 0;
	uint64_t bytes = 0;
	uint32_t owner = 0;
	long held = 0;

	any_pool(MOST_PAGES);
	check_cases();
	owner = any_asker();
	bytes = any_size(&granules);
	held = heap;
	result = UINT32_MAX;
	got = tee_mm_alloc_flags(pool, bytes, 0);
	if (got) {
		CHECK(got == new, "heap: a new entry");
		CHECK(heap == held + 1, "heap: one entry more");
		CHECK(new->size == granules, "asked: as many granules as were asked for");
		after.live[BLOCKS] = true;
		after.start[BLOCKS] = new->offset;
		after.size[BLOCKS] = new->size;
		after.owner_of[BLOCKS] = owner;
		entry_of[BLOCKS] = entry_at[BLOCKS];
		result = new->offset;
		check_list(new);
		__CPROVER_assume(is_case_of(new));
		spec_after(&before, &after);
		if (owner)
			spec_promises(&before, owner, granules, true, result);
		CHECK(false, "reached: a request that is granted");
	} else {
		CHECK(heap == held, "heap: nothing is kept of a refused request");
		check_list(NULL);
		if (!heap_failed) {
			uint32_t granule = nondet_u32();

			__CPROVER_assume(is_case(granule));
			spec_refused(&before, owner, granules, granule);
			if (owner)
				spec_promises(&before, owner, granules, false, result);
			CHECK(false, "reached: a request that is refused for want of room");
		} else {
			CHECK(false, "reached: a heap that fails");
		}
	}
}

/* What is done to block @which, with what must hold of the list and the heap afterwards */
static void given_back(unsigned int which, void (*act)(tee_mm_entry_t *))
{
	long held = heap;

	freed = entry_at[which];
	act(freed);
	after.live[which] = false;
	entry_of[which] = NULL;
	CHECK(heap == held - 1, "heap: the entry is given back");
	check_list(NULL);
}

/* The same to any block of a TA, and what is cleared of it */
static void ta_gives_back(void (*act)(tee_mm_entry_t *))
{
	uint32_t which = nondet_u32();

	any_pool(MOST_ADDRESSED);
	__CPROVER_assume(which < BLOCKS);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		if (which != i)
			continue;
		__CPROVER_assume(before.owner_of[i]);
		given_back(i, act);
		CHECK(!clearings || cleared_while_listed, "scrub: before it is given back");
		CHECK(clearings <= 1, "scrub: once");
		spec_scrub(&before, i);
		CHECK(false, "reached: a block that is given back");
		break;
	}
}

static void act_free(tee_mm_entry_t *mm)
{
	tee_mm_free(mm);
}

static void act_scrub(tee_mm_entry_t *mm)
{
	struct fobj_sec_mem *f = &fobj_object;

	f->mm = mm;
	f->fobj.ops = &ops_sec_mem;
	sec_mem_free(&f->fobj);
}

static void act_image(tee_mm_entry_t *mm)
{
	struct buf_ree_fs_ta_handle *handle = &handle_object;

	handle->mm = mm;
	handle->buf = shim_virt(tee_mm_get_smem(mm), 0);
	buf_ta_close((struct ts_store_handle *)handle);
}

void harness_free(void)
{
	uint32_t which = nondet_u32();

	any_pool(MOST_PAGES);
	__CPROVER_assume(which < BLOCKS);
	for (unsigned int i = 0; i < BLOCKS; i++) {
		if (which != i)
			continue;
		given_back(i, act_free);
		spec_freed(&before, &after);
		CHECK(false, "reached: a block that is given back");
		break;
	}
}

void harness_scrub(void)
{
	ta_gives_back(act_scrub);
}

void harness_image(void)
{
	ta_gives_back(act_image);
}

void harness_find(void)
{
	any_pool(MOST_PAGES);
	spec_lookups(&before, &before);
	CHECK(false, "reached: a pool");
}
