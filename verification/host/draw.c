// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random operations for the fast loop: mostly small blocks, often sizes and places at which something
 * just fits or just does not. Same seed, same operations.
 */

#include "draw.h"

static uint64_t state;

void draw_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) */
static uint64_t next(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return n ? next() % n : 0;
}

static uint32_t slot(bool live, bool core)
{
	uint32_t from = below(SLOTS);

	for (uint32_t i = 0; i < SLOTS; i++) {
		const struct block *b = blocks + (from + i) % SLOTS;

		if (b->live == live && (!core || b->core))
			return (from + i) % SLOTS;
	}
	return SLOTS;
}

static uint64_t nearby(uint64_t n)
{
	return n + below(3) - 1;
}

/* The free granules above a random block, up to the next one or the end of the pool */
static uint64_t some_gap(const struct world *w)
{
	uint32_t s = slot(true, false);
	uint64_t hi = 0, lo = 0;

	if (s == SLOTS)
		return w->pool[0].pages;
	lo = (uint64_t)blocks[s].start + blocks[s].size;
	hi = w->pool[blocks[s].pool].pages;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (blocks[i].live && blocks[i].pool == blocks[s].pool && blocks[i].start >= lo &&
		    blocks[i].start < hi)
			hi = blocks[i].start;
	return hi - lo;
}

static uint64_t count(const struct world *w, unsigned int class)
{
	const struct pool *p = w->pool + below(w->pools);
	uint64_t n = 0;

	switch (below(10)) {
	case 0:
		n = nearby(p->windows[class].hi - p->windows[class].lo);
		break;
	case 1:
	case 2:
		n = nearby(some_gap(w));
		break;
	case 3:
		n = 1 + below(p->pages);
		break;
	case 4:
		n = 1 + below(16);
		break;
	default:
		n = 1 + below(4);
	}
	return n && n <= p->pages + 1 ? n : 1;
}

/* What is cleared takes time: much of it is seldom asked for */
static uint64_t less(uint64_t n)
{
	if (n > 4096 || (n > 64 && below(32)))
		return 1 + n % 64;
	return n;
}

static uint64_t bytes(uint64_t granules)
{
	return granules * PAGE - (below(3) ? 0 : below(PAGE));
}

static uint64_t place(const struct world *w)
{
	const struct pool *p = w->pool + below(w->pools);
	uint32_t s = slot(true, false);
	uint64_t g = below(p->pages);

	switch (below(4)) {
	case 0:
		g = p->windows[setting.class_of[0]].hi - 1 - below(4);
		break;
	case 1:
		if (s != SLOTS)
			g = nearby((uint64_t)blocks[s].start + (below(2) ? blocks[s].size : 0));
		break;
	case 2:
		g = below(2) ? p->pages - below(2) : -1ULL;
		break;
	default:
		break;
	}
	return p->base + g * PAGE + (below(4) ? 0 : below(PAGE));
}

struct op draw(const struct world *w)
{
	static const uint8_t usual[] = {
		FOBJ, FOBJ, FOBJ, FOBJ, FOBJ, IMAGE, IMAGE, IMAGE_BAD, CORE, CORE, CORE, CORE_TA, AT,
		AT, FREE, FREE, FREE, FREE, FREE, FREE, FREE, SHRINK, WRITE, WRITE, WRITE, DIE, FIND,
	};
	struct op op = { .kind = usual[below(sizeof(usual))] };
	uint64_t n = 0;

	if (!below(100))
		op.kind = RESET;
	if (!w->content && (op.kind == FOBJ || op.kind == IMAGE || op.kind == IMAGE_BAD))
		op.kind = RAW;
	op.owner = 1 + below(setting.owners - 1);
	op.slot = slot(op.kind > AT && op.kind != RAW, op.kind == SHRINK);
	n = count(w, setting.class_of[below(2) ? op.owner : 0]);
	switch (op.kind) {
	case FOBJ:
		op.a = less(n);
		break;
	case IMAGE:
	case IMAGE_BAD:
		op.a = bytes(less(n));
		break;
	case AT:
		op.b = place(w);
		op.a = bytes(below(2) ? n : 1 + below(3));
		break;
	case SHRINK:
	case WRITE:
		if (op.slot == SLOTS)
			break;
		op.a = below(blocks[op.slot].size);
		op.b = op.a + 1 + below(blocks[op.slot].size - op.a);
		break;
	case FIND:
		op.a = place(w);
		break;
	default:
		op.a = bytes(n);
	}
	if ((op.kind <= AT || op.kind == RAW) && !below(24))
		op.fail = below(4) ? 1 : FAIL_VIRT;
	return op;
}
