/*
 * Place buffers below a ceiling: canonical depth-first search, lowest offsets first.
 *
 * The same algorithm as ordered_plain.py, decision by decision; a test holds the two together.
 *
 * In a plan in which no buffer can be moved down, take the buffers by rising offset, equal ones by
 * rank: each then rests on something placed before it. Only such plans are looked for. After a
 * buffer is placed at `low`, whatever could still lie lower, or there with a smaller rank, must rest
 * on something that is open (a lift); per section the lowest open offset and the open bytes must
 * stay below the ceiling; where nothing open crosses a section's end, the two sides are searched
 * apart. The plan of the search is that of M. Moffitt, MiniMalloc (ASPLOS 2023); the lift is ours.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND = 1, STOPPED = 0, EXHAUSTED = -1, NO_MEMORY = -2 };
static const int64_t FAR = (int64_t)1 << 62;

typedef struct {
    int64_t buffer, least;
} Change;

typedef struct {
    int64_t buffers, sections, ceiling, limit, nodes;
    const int64_t *first, *end, *size, *align, *rank;
    int64_t *offset, *least, *load, *crossing, *lowest; /* offset: -1 while it is open */
    int64_t *near_from, *near;                          /* what each buffer meets */
    int64_t *pool;                                      /* lists of buffers, as a stack */
    Change *trail;
    int64_t changes, room;
} Search;

/* The part of the problem that is searched: open buffers that meet sections [from, to) only. */
typedef struct {
    const int64_t *open;
    int64_t count, from, to;
} Part;

static int64_t up(int64_t offset, int64_t align)
{
    return (offset + align - 1) / align * align;
}

static int raise_least(Search *s, int64_t b, int64_t least)
{
    if (s->changes == s->room) {
        Change *more = realloc(s->trail, 2 * (size_t)s->room * sizeof *more);
        if (more == NULL)
            return 0;
        s->trail = more;
        s->room *= 2;
    }
    s->trail[s->changes++] = (Change){b, s->least[b]};
    s->least[b] = least;
    return 1;
}

static void undo(Search *s, int64_t to)
{
    while (s->changes > to) {
        s->changes--;
        s->least[s->trail[s->changes].buffer] = s->trail[s->changes].least;
    }
}

/* Where b can lie when it rests on something open, of which nothing lies below `low`. */
static int64_t lifted(const Search *s, int64_t b, int64_t low)
{
    int64_t best = FAR;
    for (int64_t k = s->near_from[b]; k < s->near_from[b + 1]; k++) {
        int64_t c = s->near[k];
        if (s->offset[c] >= 0)
            continue;
        int64_t top = (s->least[c] > low ? s->least[c] : low) + s->size[c];
        if (top < best)
            best = top;
    }
    return best == FAR ? FAR : up(best, s->align[b]);
}

/* Lift what was passed over, then add up every section; EXHAUSTED when something does not fit. */
static int64_t infer(Search *s, Part part, int64_t placed)
{
    int64_t low = s->offset[placed];
    for (int64_t i = 0; i < part.count; i++) {
        int64_t b = part.open[i];
        if (b == placed || s->least[b] > low ||
            (s->least[b] == low && s->rank[b] > s->rank[placed]))
            continue;
        int64_t to = lifted(s, b, low);
        if (to == FAR || to + s->size[b] > s->ceiling)
            return EXHAUSTED;
        if (!raise_least(s, b, to))
            return NO_MEMORY;
    }
    for (int64_t t = part.from; t < part.to; t++)
        s->lowest[t] = FAR;
    for (int64_t i = 0; i < part.count; i++) {
        int64_t b = part.open[i];
        if (b == placed)
            continue;
        for (int64_t t = s->first[b]; t < s->end[b]; t++)
            if (s->least[b] < s->lowest[t])
                s->lowest[t] = s->least[b];
    }
    for (int64_t t = part.from; t < part.to; t++)
        if (s->load[t] > 0 && s->lowest[t] + s->load[t] > s->ceiling)
            return EXHAUSTED;
    return FOUND;
}

/* Open buffers that may be placed next, by (offset, rank), behind the `used` first of the pool. */
static int64_t candidates(Search *s, Part part, int64_t low, int64_t low_rank, int64_t *into)
{
    int64_t lid = FAR, count = 0; /* what begins at the lid leaves room for something below it */
    for (int64_t i = 0; i < part.count; i++) {
        int64_t b = part.open[i];
        if (s->least[b] + s->size[b] < lid)
            lid = s->least[b] + s->size[b];
    }
    for (int64_t i = 0; i < part.count; i++) {
        int64_t b = part.open[i], least = s->least[b];
        if (least < low || (least == low && s->rank[b] < low_rank) || least >= lid)
            continue;
        int64_t j = count++;
        for (; j > 0; j--) {
            int64_t c = into[j - 1];
            if (s->least[c] < least || (s->least[c] == least && s->rank[c] < s->rank[b]))
                break;
            into[j] = c;
        }
        into[j] = b;
    }
    return count;
}

/* Place b where it rests; whether something open meets it, or NO_MEMORY. */
static int64_t put(Search *s, int64_t b)
{
    int64_t top = s->least[b] + s->size[b], met = 0;
    s->offset[b] = s->least[b];
    for (int64_t t = s->first[b]; t < s->end[b]; t++)
        s->load[t] -= s->size[b];
    for (int64_t k = s->near_from[b]; k < s->near_from[b + 1]; k++) {
        int64_t c = s->near[k];
        if (s->offset[c] >= 0)
            continue;
        met = 1;
        int64_t above = up(top, s->align[c]);
        if (s->least[c] < above && !raise_least(s, c, above))
            return NO_MEMORY;
    }
    return met;
}

static int64_t explore(Search *s, Part part, int64_t low, int64_t low_rank, int64_t *pool);

/* Take back what parts that were solved have placed, as another part has no place. */
static void reopen(Search *s, Part part, int64_t kept)
{
    for (int64_t i = 0; i < part.count; i++) {
        int64_t c = part.open[i];
        if (c == kept || s->offset[c] < 0)
            continue;
        s->offset[c] = -1;
        for (int64_t t = s->first[c]; t < s->end[c]; t++)
            s->load[t] += s->size[c];
    }
}

/* Search what is open without b, in parts that no open buffer connects. */
static int64_t divide(Search *s, Part part, int64_t b, int64_t *pool)
{
    int64_t cuts = 0, status = FOUND, from = part.from;
    for (int64_t t = s->first[b]; t + 1 < s->end[b]; t++)
        cuts += --s->crossing[t] == 0;
    for (int64_t t = part.from; t < part.to && status == FOUND; t++) {
        if (t + 1 < part.to && (cuts == 0 || s->crossing[t] > 0))
            continue;
        int64_t count = 0;
        for (int64_t i = 0; i < part.count; i++) {
            int64_t c = part.open[i];
            if (c != b && s->first[c] <= t && from < s->end[c])
                pool[count++] = c;
        }
        Part inner = {pool, count, from, t + 1};
        if (count > 0)
            status = explore(s, inner, s->offset[b], s->rank[b], pool + count);
        from = t + 1;
    }
    for (int64_t t = s->first[b]; t + 1 < s->end[b]; t++)
        s->crossing[t]++;
    if (status == EXHAUSTED && cuts > 0)
        reopen(s, part, b);
    return status;
}

static int64_t explore(Search *s, Part part, int64_t low, int64_t low_rank, int64_t *pool)
{
    int64_t count = candidates(s, part, low, low_rank, pool), mark = s->changes;
    for (int64_t i = 0; i < count; i++) {
        if (s->nodes >= s->limit)
            return STOPPED;
        s->nodes++;
        int64_t b = pool[i], met = put(s, b);
        if (met == NO_MEMORY)
            return NO_MEMORY;
        int64_t status = infer(s, part, b);
        if (status == FOUND)
            status = divide(s, part, b, pool + count);
        if (status != EXHAUSTED)
            return status;
        for (int64_t t = s->first[b]; t < s->end[b]; t++)
            s->load[t] += s->size[b];
        s->offset[b] = -1;
        undo(s, mark);
        if (!met)
            return EXHAUSTED; /* it was in nobody's way, so it is not why the rest failed */
    }
    return EXHAUSTED;
}

static int64_t begin(Search *s, int64_t *open)
{
    int64_t met = 0;
    for (int64_t b = 0; b < s->buffers; b++) {
        s->offset[b] = -1;
        open[b] = b;
        s->near_from[b] = met;
        for (int64_t c = 0; c < s->buffers; c++)
            if (c != b && s->first[b] < s->end[c] && s->first[c] < s->end[b])
                s->near[met++] = c;
        for (int64_t t = s->first[b]; t < s->end[b]; t++) {
            s->load[t] += s->size[b];
            s->crossing[t] += t + 1 < s->end[b];
        }
    }
    s->near_from[s->buffers] = met;
    for (int64_t t = 0; t < s->sections; t++)
        if (s->load[t] > s->ceiling)
            return EXHAUSTED;
    return explore(s, (Part){open, s->buffers, 0, s->sections}, 0, -1, s->pool);
}

int64_t arena_ordered(int64_t buffers, int64_t sections, const int64_t *first, const int64_t *end,
                      const int64_t *size, const int64_t *align, int64_t ceiling, int64_t limit,
                      const int64_t *rank, int64_t *offset, int64_t *nodes)
{
    /* Lists on one path: candidates and what is left, each shorter by one at every depth. */
    int64_t cells = buffers * buffers + (buffers + 1) * (buffers + 2) + 3 * buffers + 1 + 3 * sections;
    int64_t *memory = calloc((size_t)cells, sizeof *memory), *at = memory;
    Search s = {.buffers = buffers, .sections = sections, .ceiling = ceiling, .limit = limit,
                .first = first, .end = end, .size = size, .align = align, .rank = rank,
                .offset = offset, .room = 4096};
    s.trail = malloc((size_t)s.room * sizeof *s.trail);
    int64_t status = NO_MEMORY;
    if (memory != NULL && s.trail != NULL) {
        int64_t **rows[] = {&s.load, &s.crossing, &s.lowest};
        for (int i = 0; i < 3; i++, at += sections)
            *rows[i] = at;
        int64_t *open = at;
        s.least = at + buffers;
        s.near_from = at + 2 * buffers;
        s.near = at + 3 * buffers + 1;
        s.pool = s.near + buffers * buffers;
        status = begin(&s, open);
    }
    *nodes = s.nodes;
    free(s.trail);
    free(memory);
    return status;
}
