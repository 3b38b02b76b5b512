// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page pool of models/optee/ written out plainly, for speed: the blocks of a pool in order, the
 * lowest place that is free. What a policy decides comes in tables that are read off the spec. It
 * shares nothing with the C under test; the simulator checks it (the check host/reference).
 */

#include <stdlib.h>
#include <string.h>

#include "lockstep.h"

struct block blocks[SLOTS];

static const struct world *now;
static uint8_t order[POOLS][SLOTS]; /* the live slots of a pool, by start */
static unsigned int live[POOLS];
static uint8_t *residue[POOLS]; /* whose data a granule holds: 0 nobody, else the owner plus 1 */
static uint32_t most[POOLS];

static uint64_t end_of(const struct block *b)
{
	return (uint64_t)b->start + b->size;
}

static bool is_free(unsigned int pool, uint64_t lo, uint64_t hi)
{
	for (unsigned int i = 0; i < live[pool]; i++) {
		const struct block *b = blocks + order[pool][i];

		if (b->start < hi && lo < end_of(b))
			return false;
	}
	return true;
}

/* The lowest o with [o, o + n) in the window and free; NONE when there is none */
static uint32_t least(unsigned int pool, uint64_t n, const struct window *w)
{
	uint64_t o = w->lo;

	for (unsigned int i = 0; i < live[pool]; i++) {
		const struct block *b = blocks + order[pool][i];

		if (end_of(b) <= o)
			continue;
		if (b->start >= o + n)
			break;
		o = end_of(b);
	}
	return n && o + n <= w->hi ? o : NONE;
}

static void insert(unsigned int slot, struct block what)
{
	unsigned int p = what.pool, i = live[p]++;

	for (; i && blocks[order[p][i - 1]].start > what.start; i--)
		order[p][i] = order[p][i - 1];
	order[p][i] = slot;
	what.live = true;
	blocks[slot] = what;
}

static void drop(unsigned int slot)
{
	unsigned int p = blocks[slot].pool, i = 0;

	while (order[p][i] != slot)
		i++;
	live[p]--;
	memmove(order[p] + i, order[p] + i + 1, live[p] - i);
	blocks[slot].live = false;
}

/* A window that goes beyond the pool is the policy's mistake: only granules hold data */
static void set(unsigned int pool, uint64_t lo, uint64_t hi, uint8_t to)
{
	if (hi > now->pool[pool].pages)
		hi = now->pool[pool].pages;
	if (now->content && lo < hi)
		memset(residue[pool] + lo, to, hi - lo);
}

static uint32_t allocated(unsigned int pool)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < live[pool]; i++)
		sum += blocks[order[pool][i]].size;
	return sum * PAGE; /* OP-TEE keeps it in 32 bits */
}

static void note(unsigned int pool)
{
	uint32_t sum = allocated(pool);

	if (sum > most[pool])
		most[pool] = sum;
}

/* scrub == owned wipes what a TA gives back, returned and always what anybody does */
static void release(unsigned int slot)
{
	const struct block *b = blocks + slot;

	if (setting.scrub >= RETURNED || (setting.scrub == OWNED && !b->core))
		set(b->pool, b->start, end_of(b), 0);
	drop(slot);
}

static bool is_request(const struct op *op)
{
	return op->kind <= AT || op->kind == RAW;
}

static bool by_ta(const struct op *op)
{
	return op->kind == FOBJ || op->kind == IMAGE || op->kind == IMAGE_BAD || op->kind == RAW;
}

static uint64_t granules(const struct op *op)
{
	return op->kind == FOBJ ? op->a : (op->a + PAGE - 1) / PAGE;
}

/* Where a request goes in one pool: the window of its class, then that of the class to spill to */
static uint32_t place(unsigned int pool, const struct op *op)
{
	uint32_t k = setting.class_of[by_ta(op) ? op->owner : 0];
	const struct window *w = now->pool[pool].windows;
	uint32_t o = least(pool, granules(op), w + k);

	return o == NONE ? least(pool, granules(op), w + w[k].spill) : o;
}

/* The pools that a request may be served from, in order */
static unsigned int tried(const struct op *op, unsigned int pools[POOLS])
{
	unsigned int n = 0;

	if (op->kind != CORE && now->pools > 1)
		pools[n++] = 1;
	pools[n++] = 0;
	if (op->kind == CORE && now->pools > 1 && now->core_falls_back)
		pools[n++] = 1;
	if (op->how == NEXT_POOL) {
		pools[0] = pools[1];
		n--;
	}
	return n;
}

static bool at(const struct op *op, struct block *b)
{
	for (unsigned int p = 0; p < now->pools; p++) {
		uint64_t from = op->b - now->pool[p].base;

		if (op->b < now->pool[p].base || from / PAGE >= now->pool[p].pages)
			continue;
		if (from + op->a > now->pool[p].pages * PAGE || !op->a)
			return false;
		*b = (struct block){ .pool = p, .start = from / PAGE, .core = true, .kind = AT };
		b->size = (from + op->a + PAGE - 1) / PAGE - b->start;
		return is_free(p, b->start, end_of(b));
	}
	return false;
}

bool askable(const struct op *op)
{
	const struct block *b = blocks + op->slot;
	struct block found = { 0 };

	if (op->slot >= SLOTS || op->owner >= setting.owners)
		return false;
	if (is_request(op) && (b->live || !op->a || (by_ta(op) && !op->owner)))
		return false;
	switch (op->kind) {
	case AT: { /* boot takes nothing from the reserve: the model says nothing of it */
		const struct window *w = NULL;

		if (!at(op, &found))
			return true;
		w = now->pool[found.pool].windows + setting.class_of[0];
		return w->lo <= found.start && end_of(&found) <= w->hi;
	}
	case FOBJ:
	case IMAGE:
	case IMAGE_BAD:
		return now->content;
	case RAW:
		return !now->content;
	case FREE:
		return b->live;
	case SHRINK:
		return b->live && b->core && op->a < op->b && op->b <= b->size;
	case WRITE:
		return b->live && now->content && op->a < b->size;
	case DIE:
		return op->owner != 0;
	default:
		return op->kind < KINDS;
	}
}

static void say(struct result *r, const struct block *b)
{
	r->status = DONE;
	r->pool = b->pool;
	r->offset = b->start;
	r->size = b->size;
	/* The shift is done in 32 bits: physical(b) of the model */
	r->address = now->pool[b->pool].base + (uint32_t)(b->start * PAGE);
}

static void give(struct result *r, const struct op *op, struct block b)
{
	if (op->kind == FOBJ && op->how != TAKEN_BACK)
		set(b.pool, b.start, end_of(&b), 0);
	if ((op->kind == IMAGE || op->kind == IMAGE_BAD) && op->how != TAKEN_BACK)
		set(b.pool, b.start, end_of(&b), op->owner + 1);
	b.owner = op->owner;
	b.core = !by_ta(op);
	b.kind = op->kind;
	if (b.core)
		b.owner = 0;
	insert(op->slot, b);
	note(b.pool);
	say(r, &b);
}

static void request(struct result *r, const struct op *op)
{
	unsigned int pools[POOLS] = { 0 }, n = tried(op, pools);
	struct block b = { .size = granules(op) };

	r->status = REFUSED;
	if (op->kind == AT) {
		if (op->how == USUAL && at(op, &b))
			give(r, op, b);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		b.pool = pools[i];
		b.start = place(b.pool, op);
		if (b.start != NONE) {
			give(r, op, b);
			break;
		}
	}
	if (op->how == TAKEN_BACK && r->status == DONE) {
		if (setting.scrub == ALWAYS)
			release(op->slot);
		else
			drop(op->slot);
		*r = (struct result){ .status = REFUSED };
	}
	if (op->kind == IMAGE_BAD && r->status == DONE) {
		release(op->slot);
		*r = (struct result){ .status = DONE };
	}
}

/* find() compares offsets in 16 bits: found() of the model; the first block by address counts */
static void find(struct result *r, const struct op *op)
{
	r->status = REFUSED;
	for (unsigned int p = 0; p < now->pools; p++) {
		uint64_t from = (op->a - now->pool[p].base) / PAGE;
		uint16_t o = from;

		if (op->a < now->pool[p].base || from >= now->pool[p].pages)
			continue;
		for (unsigned int i = 0; i < live[p]; i++) {
			const struct block *b = blocks + order[p][i];

			if (b->start <= o && o < end_of(b)) {
				say(r, b);
				return;
			}
		}
	}
}

static void shrink(struct result *r, const struct op *op)
{
	struct block b = blocks[op->slot], was = b;

	drop(op->slot);
	b.start += op->a;
	b.size = op->b - op->a;
	insert(op->slot, b);
	note(b.pool);
	if (setting.scrub == ALWAYS)
		set(was.pool, was.start, end_of(&was), 0);
	if (setting.scrub == RETURNED) {
		set(was.pool, was.start, b.start, 0);
		set(was.pool, end_of(&b), end_of(&was), 0);
	}
	say(r, &b);
}

static struct result take(const struct op *op)
{
	struct result r = { .status = DONE };
	struct block *b = blocks + op->slot;

	if (!askable(op)) {
		r.status = NOTHING;
	} else if (is_request(op)) {
		request(&r, op);
	} else if (op->kind == FREE) {
		release(op->slot);
	} else if (op->kind == SHRINK) {
		shrink(&r, op);
	} else if (op->kind == WRITE) {
		set(b->pool, b->start + op->a, b->start + op->a + 1, b->owner + 1);
	} else if (op->kind == DIE) {
		for (unsigned int i = 0; i < SLOTS; i++)
			if (blocks[i].live && !blocks[i].core && blocks[i].owner == op->owner)
				release(i);
	} else if (op->kind == FIND) {
		find(&r, op);
	} else if (op->kind == RESET) {
		memset(most, 0, sizeof(most));
	}
	for (unsigned int p = 0; p < now->pools; p++) {
		struct stats s = { now->pool[p].pages * PAGE, allocated(p), most[p] };

		r.stats[p] = s;
		r.stats[POOLS].size += s.size;
		r.stats[POOLS].allocated += s.allocated;
		if (s.most > r.stats[POOLS].most)
			r.stats[POOLS].most = s.most;
	}
	return r;
}

static void begin(const struct world *world)
{
	now = world;
	memset(blocks, 0, sizeof(blocks));
	memset(live, 0, sizeof(live));
	memset(most, 0, sizeof(most));
	for (unsigned int p = 0; p < world->pools && world->content; p++)
		residue[p] = calloc(world->pool[p].pages, 1);
}

static uint8_t holds(unsigned int pool, uint32_t granule, bool every_byte)
{
	(void)every_byte;
	return residue[pool][granule];
}

static long end(void)
{
	for (unsigned int p = 0; p < POOLS; p++) {
		free(residue[p]);
		residue[p] = NULL;
	}
	return 0;
}

const struct side reference = { begin, take, holds, end };
