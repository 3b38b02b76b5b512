// SPDX-License-Identifier: BSD-2-Clause
/*
 * lockstep SETTING serve WORLD tree|reference   operations on stdin, what they did on stdout
 * lockstep SETTING both WORLD                   operations on stdin, taken by both, compared
 * lockstep SETTING race COUNT SEED LOG          operations from a seed, taken by both, compared
 *
 * SETTING is a text file that kit/tessera/conform/world_file.py writes. LOG is a file that always
 * holds the operations of the present episode, so that they are known even when the C crashes.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "draw.h"
#include "lockstep.h"

#define EPISODE 512 /* operations in one world, at most */
#define SHORTEST 48
#define SECONDS 1 /* of processor time for an episode; it takes a hundredth of one */
/* Of the granules that were written, the fast loop compares after each operation: */
#define GLANCED_AT 128 /* so many by three of their bytes, in turn where there are more */
#define LOOKED_AT 8 /* and so many of these by every byte; all at the end of an episode */

struct setting setting;

struct log {
	uint32_t world, count;
	struct op ops[EPISODE];
};

/* --- the setting ------------------------------------------------------------------------------- */

static void bad(const char *what)
{
	fprintf(stderr, "lockstep: %s\n", what);
	exit(3);
}

static uint64_t number(FILE *in)
{
	uint64_t n = 0;

	if (fscanf(in, "%" SCNu64, &n) != 1)
		bad("the setting is cut short");
	return n;
}

static void read_world(FILE *in, struct world *w)
{
	w->content = number(in);
	w->core_falls_back = number(in);
	w->pools = number(in);
	if (w->pools < 1 || w->pools > POOLS)
		bad("how many pools?");
	for (unsigned int p = 0; p < w->pools; p++) {
		w->pool[p].base = number(in);
		w->pool[p].pages = number(in);
		for (unsigned int k = 0; k < setting.classes; k++) {
			struct window *window = w->pool[p].windows + k;

			window->lo = number(in);
			window->hi = number(in);
			window->spill = number(in);
		}
	}
}

static void read_setting(const char *path)
{
	FILE *in = fopen(path, "r");

	if (!in)
		bad("there is no setting");
	setting.scrub = number(in);
	setting.classes = number(in);
	setting.owners = number(in);
	setting.worlds = number(in);
	if (setting.classes > CLASSES || setting.owners > OWNERS || setting.owners < 2)
		bad("too many classes or owners");
	for (unsigned int o = 0; o < setting.owners; o++) {
		setting.class_of[o] = number(in);
		for (unsigned int i = 0; i < 16; i++)
			setting.uuid[o][i] = number(in);
	}
	setting.world = calloc(setting.worlds, sizeof(*setting.world));
	for (unsigned int w = 0; w < setting.worlds; w++)
		read_world(in, setting.world + w);
	fclose(in);
}

/* --- granules that were written ---------------------------------------------------------------- */

static struct {
	uint32_t *list;
	uint8_t *known;
	size_t count, room, next;
} written[POOLS];

static bool watching; /* content is compared at all */

void touched(unsigned int pool, uint32_t granule)
{
	if (!watching || written[pool].known[granule])
		return;
	written[pool].known[granule] = 1;
	if (written[pool].count == written[pool].room) {
		written[pool].room += EPISODE;
		written[pool].list = realloc(written[pool].list,
					     written[pool].room * sizeof(*written[pool].list));
	}
	written[pool].list[written[pool].count++] = granule;
}

static void forget(const struct world *w)
{
	for (unsigned int p = 0; p < POOLS; p++) {
		free(written[p].known);
		written[p].known = NULL;
		written[p].count = 0;
		written[p].next = 0;
		if (p < w->pools && w->content)
			written[p].known = calloc(w->pool[p].pages, 1);
	}
	watching = w->content;
}

/* --- comparing --------------------------------------------------------------------------------- */

static char told[512];

static bool differs(const char *what, uint64_t tree, uint64_t reference_)
{
	snprintf(told, sizeof(told), "%s %" PRIu64 " %" PRIu64, what, tree, reference_);
	return true;
}

static bool stats_differ(const struct stats *a, const struct stats *b, unsigned int p)
{
	static const char *const names[][3] = {
		{ "size0", "allocated0", "most0" },
		{ "size1", "allocated1", "most1" },
		{ "size", "allocated", "most" },
	};

	if (a->size != b->size)
		return differs(names[p][0], a->size, b->size);
	if (a->allocated != b->allocated)
		return differs(names[p][1], a->allocated, b->allocated);
	if (a->most != b->most)
		return differs(names[p][2], a->most, b->most);
	return false;
}

static bool results_differ(const struct world *w, const struct result *a, const struct result *b)
{
	if (a->status != b->status)
		return differs("status", a->status, b->status);
	if (a->pool != b->pool)
		return differs("pool", a->pool, b->pool);
	if (a->offset != b->offset)
		return differs("offset", a->offset, b->offset);
	if (a->size != b->size)
		return differs("granules", a->size, b->size);
	if (a->address != b->address)
		return differs("address", a->address, b->address);
	for (unsigned int p = 0; p < w->pools; p++)
		if (stats_differ(a->stats + p, b->stats + p, p))
			return true;
	return stats_differ(a->stats + POOLS, b->stats + POOLS, POOLS);
}

static bool content_differs(const struct world *w, size_t most, size_t whole)
{
	for (unsigned int p = 0; p < w->pools && watching; p++) {
		size_t n = written[p].count < most ? written[p].count : most;

		for (size_t i = 0; i < n; i++) {
			uint32_t g = 0;
			uint8_t a = 0, b = 0;

			written[p].next = (written[p].next + 1) % written[p].count;
			g = written[p].list[written[p].next];
			a = tree_side.holds(p, g, i < whole);
			b = reference.holds(p, g, i < whole);
			if (a != b) {
				snprintf(told, sizeof(told), "content %u %u %u %" PRIu32, a, b, p, g);
				return true;
			}
		}
		if (n) /* so that every granule has its turn at being looked at in full */
			written[p].next = (written[p].next + whole) % written[p].count;
	}
	return false;
}

static struct {
	uint64_t taken, requests, refused, injected, granules;
} counts;

/* Both take @op; true when they differ. @injected says whether a failure was met. */
static bool step(const struct world *w, struct op *op, bool *injected)
{
	struct result a, b;
	bool asked = askable(op), request = op->kind <= AT || op->kind == RAW;

	*injected = false;
	if (!asked)
		return false;
	a = tree_side.take(op);
	*injected = a.injected;
	if (a.status == PANIC) {
		snprintf(told, sizeof(told), "panic %s", panic_text);
		return true;
	}
	if (a.injected && op->fail == FAIL_VIRT)
		op->how = TAKEN_BACK;
	else if (a.injected && a.status == DONE)
		op->how = NEXT_POOL;
	else if (a.injected)
		op->kind = KINDS; /* refused, and nothing has changed */
	b = reference.take(op);
	if (op->kind == KINDS)
		b.status = REFUSED;
	counts.taken++;
	counts.requests += request;
	counts.refused += request && a.status == REFUSED;
	counts.injected += a.injected;
	return results_differ(w, &a, &b);
}

/* --- modes ------------------------------------------------------------------------------------- */

static const struct world *world_of(const char *text)
{
	unsigned long w = strtoul(text, NULL, 10);

	if (w >= setting.worlds)
		bad("there is no such world");
	return setting.world + w;
}

static bool read_op(struct op *op)
{
	unsigned int kind = 0, owner = 0, fail = 0, how = 0;

	*op = (struct op){ 0 };
	if (scanf("%u %u %u %u %" SCNu32 " %" SCNu64 " %" SCNu64, &kind, &owner, &fail, &how, &op->slot,
		  &op->a, &op->b) != 7)
		return false;
	op->kind = kind;
	op->owner = owner;
	op->fail = fail;
	op->how = how;
	return true;
}

static void print_result(const struct world *w, const struct result *r, const struct side *side)
{
	printf("%u %u %u %" PRIu32 " %" PRIu32 " %" PRIu64, r->status, r->pool, r->injected, r->offset,
	       r->size, r->address);
	for (unsigned int p = 0; p <= POOLS; p++)
		if (p < w->pools || p == POOLS)
			printf(" %" PRIu32 " %" PRIu32 " %" PRIu32, r->stats[p].size,
			       r->stats[p].allocated, r->stats[p].most);
	for (unsigned int p = 0; p < w->pools && watching; p++)
		for (size_t i = 0; i < written[p].count; i++) {
			uint8_t who = side->holds(p, written[p].list[i], true);

			if (who)
				printf(" %u:%" PRIu32 ":%u", p, written[p].list[i], who);
		}
	printf(r->status == PANIC ? " # %s\n" : "\n", panic_text);
	fflush(stdout);
}

/* The reference writes granules without saying so: all of a small pool is looked at */
static void watch_all(const struct world *w)
{
	for (unsigned int p = 0; p < w->pools && watching; p++)
		for (uint64_t g = 0; g < w->pool[p].pages; g++)
			touched(p, g);
}

/* A loop without end is ended by a signal, and is then a difference like a crash */
static void deadline(void)
{
	struct itimerval t = { .it_value = { .tv_sec = SECONDS } };

	setitimer(ITIMER_VIRTUAL, &t, NULL);
}

static int serve(const struct world *w, const struct side *side)
{
	struct op op;

	forget(w);
	side->begin(w);
	if (side == &reference)
		watch_all(w);
	while (read_op(&op)) {
		struct result r;

		deadline();
		r = side->take(&op);

		print_result(w, &r, side);
	}
	printf("%ld\n", side->end());
	return 0;
}

static void begin(const struct world *w)
{
	deadline();
	forget(w);
	reference.begin(w);
	tree_side.begin(w);
}

static bool end(void)
{
	long left = tree_side.end();

	reference.end();
	return left && differs("left", left, 0);
}

static int both(const struct world *w)
{
	unsigned int at = 0;
	bool found = false, injected = false;
	struct op op;

	begin(w);
	for (; !found && read_op(&op); at++)
		found = step(w, &op, &injected) || content_differs(w, SIZE_MAX, SIZE_MAX);
	if (!found && end())
		found = true;
	if (found)
		printf("differs %u %s\n", at, told);
	else
		printf("agrees\n");
	return 0;
}

static struct log *open_log(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	struct log *log = NULL;

	if (fd < 0 || ftruncate(fd, sizeof(*log)))
		bad("cannot write the log");
	log = mmap(NULL, sizeof(*log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED)
		bad("cannot map the log");
	close(fd);
	return log;
}

/*
 * A failure that was met is followed by the same request with a later one, until none is met; what
 * the request got in spite of it is given back first.
 */
static struct op next_op(const struct world *w, const struct op *last, bool injected, struct op *again)
{
	struct op op = { 0 };

	if (injected && last->fail != FAIL_VIRT) {
		*again = *last;
		again->fail++;
	}
	if (!again->fail)
		return draw(w);
	if (blocks[again->slot].live)
		return (struct op){ .kind = FREE, .owner = 1, .slot = again->slot };
	op = *again;
	again->fail = 0;
	return op;
}

/* As long as leaves time for all worlds */
static uint64_t length(uint64_t many)
{
	uint64_t n = many / (3 * setting.worlds);

	return n < SHORTEST ? SHORTEST : n > EPISODE ? EPISODE : n;
}

static bool episode(const struct world *w, struct log *log, uint64_t many)
{
	struct op last = { 0 }, again = { 0 };
	bool injected = false;

	begin(w);
	for (log->count = 0; log->count < many;) {
		struct op op = next_op(w, &last, injected, &again);

		if (!askable(&op))
			op = (struct op){ .kind = RESET, .owner = 1 };
		last = op;
		log->ops[log->count++] = op;
		if (step(w, &op, &injected) || content_differs(w, GLANCED_AT, LOOKED_AT))
			return true;
	}
	return content_differs(w, SIZE_MAX, SIZE_MAX) || end();
}

static int race(uint64_t many, uint64_t seed, const char *path)
{
	struct log *log = open_log(path);

	for (uint64_t n = 0; counts.taken < many; n++) {
		log->world = n % setting.worlds;
		draw_seed(seed + (n << 20));
		if (episode(setting.world + log->world, log, length(many))) {
			printf("differs %" PRIu32 " %s\n", log->count, told);
			break;
		}
	}
	printf("taken %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", counts.taken, counts.requests,
	       counts.refused, counts.injected);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		bad("see the top of lockstep.c for the words that are needed");
	read_setting(argv[1]);
	if (!strcmp(argv[2], "both"))
		return both(world_of(argv[3]));
	if (!strcmp(argv[2], "serve") && argc == 5)
		return serve(world_of(argv[3]), strcmp(argv[4], "tree") ? &reference : &tree_side);
	if (!strcmp(argv[2], "race") && argc == 6)
		return race(strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[5]);
	bad("there is no such mode");
}
