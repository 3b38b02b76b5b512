/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two sides of the lockstep on the host, and what passes between them.
 *
 * tree_side.c drives the tree's own C; reference.c is the page pool of models/optee/ written out
 * plainly, which the simulator checks; lockstep.c draws operations, has both take them and compares.
 */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096U
#define POOLS 2 /* the core's, then the TAs' when there is one */
#define CLASSES 16
#define OWNERS 16
#define SLOTS 64
#define NONE UINT32_MAX
#define MIXED 255 /* a granule whose bytes are not all of one owner */
#define FAIL_VIRT 255 /* the address translation fails, not the heap */

enum { NEVER, OWNED, RETURNED, ALWAYS };

/* What a world is made of: owner 0 is the core; a window is [lo, hi) in granules */
struct window {
	uint64_t lo, hi;
	uint32_t spill;
};

struct pool {
	uint64_t base, pages;
	struct window windows[CLASSES];
};

struct world {
	unsigned int pools;
	bool content; /* memory is there: what it holds is compared */
	bool core_falls_back; /* to the TAs' pool: CFG_NS_VIRTUALIZATION */
	struct pool pool[POOLS];
};

struct setting {
	unsigned int classes, owners, worlds, scrub;
	uint32_t class_of[OWNERS];
	uint8_t uuid[OWNERS][16];
	struct world *world;
};

extern struct setting setting;

/* One operation; a block is known by its slot. Operations that make no sense are NOTHING. */
enum kind {
	CORE, /* the core takes @a bytes */
	CORE_TA, /* the core takes @a bytes where TAs take theirs */
	FOBJ, /* @owner is given @a granules, cleared */
	IMAGE, /* the core buffers an image of @a bytes for @owner */
	IMAGE_BAD, /* the same, but the image turns out not to be genuine */
	AT, /* a given range: @a bytes at address @b */
	FREE,
	SHRINK, /* a block of the core is given back but for granules [@a, @b) of it */
	WRITE, /* the owner of a block fills granule @a of it */
	DIE, /* all blocks of @owner */
	FIND, /* which block has address @a */
	RESET, /* statistics begin anew */
	RAW, /* as CORE_TA, with the context of @owner active: for worlds without content */
	KINDS
};

struct op {
	uint8_t kind, owner, fail; /* fail: which call of the heap fails; 0 for none */
	uint8_t how; /* for the reference, when something failed: see enum how */
	uint32_t slot;
	uint64_t a, b;
};

/* What the reference does where a failure was injected and the tree's C went another way */
enum how {
	USUAL,
	NEXT_POOL, /* the first pool of those that are tried could not serve it */
	TAKEN_BACK, /* it had its memory, and gave it back before anything was written */
};

enum status { NOTHING, DONE, REFUSED, PANIC };

struct stats {
	uint32_t size, allocated, most;
};

struct result {
	uint8_t status, pool, injected;
	uint32_t offset, size; /* granules */
	uint64_t address; /* as tee_mm_get_smem() gives it */
	struct stats stats[POOLS + 1]; /* of each pool, then as they are reported together */
};

/* A side: begin a world, take an operation, say what a granule holds, end with all given back */
struct side {
	void (*begin)(const struct world *world);
	struct result (*take)(const struct op *op);
	uint8_t (*holds)(unsigned int pool, uint32_t granule, bool every_byte);
	long (*end)(void); /* heap objects that are left over */
};

extern const struct side tree_side, reference;
extern const char *panic_text;

/* For who draws operations: the state of the reference, and whether it has an opinion on @op */
struct block {
	bool live, core; /* taken by the core, not by a TA */
	uint8_t pool, owner, kind;
	uint32_t start, size;
};

extern struct block blocks[SLOTS];
bool askable(const struct op *op);

/* Called by a side for every granule that is written, so that only those are looked at */
void touched(unsigned int pool, uint32_t granule);

#endif /*LOCKSTEP_H*/
