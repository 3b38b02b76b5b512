/*
 * Place buffers below a ceiling: schedule-or-postpone search over lowest offsets.
 *
 * The same algorithm as search_plain.py, statement by statement; a test holds the two together.
 * All numbers are integers, so that both take the same decisions.
 *
 * State of a node, per open buffer: `rest_on`, the lowest aligned offset above what is placed, and
 * `least`, a lower bound of its offset in any completion that is looked for here. A buffer can be
 * placed when the two are equal; a negative `rest_on` (-1 - offset) bars it until then. A node either places one buffer there, or demands that it lies
 * above an open one; what is demanded raises `least`, and bounds per section prune.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { FOUND = 1, STOPPED = 0, EXHAUSTED = -1, NO_MEMORY = -2 };
enum { ROUNDS = 8 };
static const int64_t FAR = (int64_t)1 << 62;

typedef struct {
    int64_t buffers, sections, ceiling;
    const int64_t *first, *end, *size, *align;
    int64_t *least, *rest_on, *load, *is_open; /* one row per depth */
    int64_t *order;                            /* of buffers, by `least` */
    int64_t *stack, *lowest, *able, *top, *sole;
} Search;

static int64_t up(int64_t offset, int64_t align)
{
    return (offset + align - 1) / align * align;
}

static void sort_by_least(const Search *s, const int64_t *least)
{
    for (int64_t i = 1; i < s->buffers; i++) {
        int64_t b = s->order[i], j = i - 1;
        while (j >= 0 && (least[s->order[j]] > least[b] ||
                          (least[s->order[j]] == least[b] && s->order[j] > b))) {
            s->order[j + 1] = s->order[j];
            j--;
        }
        s->order[j + 1] = b;
    }
}

/* Stack what is open in every section as low as its bounds allow; the section that overflows. */
static int64_t survey(Search *s, const int64_t *least, const int64_t *load, const int64_t *is_open)
{
    for (int64_t t = 0; t < s->sections; t++) {
        s->stack[t] = s->able[t] = 0;
        s->top[t] = FAR;
        s->sole[t] = s->lowest[t] = -1;
    }
    for (int64_t i = 0; i < s->buffers; i++) {
        int64_t b = s->order[i];
        if (!is_open[b])
            continue;
        int64_t low = least[b], high = low + s->size[b];
        for (int64_t t = s->first[b]; t < s->end[b]; t++) {
            if (s->stack[t] < low)
                s->stack[t] = low;
            s->stack[t] += s->size[b];
            if (s->stack[t] > s->ceiling)
                return t;
            if (s->lowest[t] < 0)
                s->lowest[t] = low;
            if (low + load[t] > s->ceiling)
                continue;
            s->able[t]++; /* b can be the lowest of this section */
            if (high < s->top[t]) {
                s->top[t] = high;
                s->sole[t] = b;
            }
        }
    }
    return -1;
}

/* What cannot be the lowest of a section lies above something that can. */
static int64_t lift(Search *s, int64_t *least, const int64_t *load, const int64_t *is_open,
                    int64_t *changed)
{
    *changed = 0;
    for (int64_t i = 0; i < s->buffers; i++) {
        int64_t b = s->order[i];
        if (!is_open[b])
            continue;
        int64_t low = least[b], raised = low;
        for (int64_t t = s->first[b]; t < s->end[b]; t++)
            if (low + load[t] > s->ceiling || (s->able[t] == 1 && s->sole[t] != b))
                if (s->top[t] > raised)
                    raised = s->top[t];
        if (raised == low)
            continue;
        if (raised > s->ceiling)
            return s->first[b];
        raised = up(raised, s->align[b]);
        if (raised + s->size[b] > s->ceiling)
            return s->first[b];
        least[b] = raised;
        *changed = 1;
    }
    return -1;
}

static int64_t propagate(Search *s, int64_t *least, const int64_t *load, const int64_t *is_open)
{
    for (int round = 0;; round++) {
        int64_t changed;
        sort_by_least(s, least);
        int64_t failed = survey(s, least, load, is_open);
        if (failed >= 0 || round == ROUNDS)
            return failed;
        failed = lift(s, least, load, is_open, &changed);
        if (failed >= 0 || !changed)
            return failed;
    }
}

static int64_t draw(uint64_t *state, int64_t below)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return (int64_t)((x >> 20) % (uint64_t)below);
}

/* The buffer to branch on; -1 when nothing can be placed. `taste` weighs what is looked at. */
static int64_t choose(Search *s, const int64_t *least, const int64_t *rest_on, const int64_t *load,
                      const int64_t *is_open, const int64_t *weight, const int64_t *taste,
                      uint64_t *state)
{
    int64_t at = -1, best = -1, best_score = FAR;
    for (int64_t t = 0; t < s->sections; t++)
        s->sole[t] = -1;
    for (int64_t b = 0; b < s->buffers; b++)
        if (is_open[b] && rest_on[b] == least[b])
            for (int64_t t = s->first[b]; t < s->end[b]; t++)
                if (least[b] + load[t] <= s->ceiling)
                    s->sole[t] = b;
    for (int64_t t = 0; t < s->sections; t++)
        if (s->sole[t] >= 0 && (at < 0 || s->able[t] * weight[at] < s->able[at] * weight[t]))
            at = t;
    if (at < 0)
        return -1;
    for (int64_t b = 0; b < s->buffers; b++) {
        if (!is_open[b] || rest_on[b] != least[b] || at < s->first[b] || at >= s->end[b] ||
            least[b] + load[at] > s->ceiling)
            continue;
        int64_t waste = 0;
        for (int64_t t = s->first[b]; t < s->end[b]; t++)
            waste += least[b] - s->lowest[t];
        int64_t score = taste[0] * (least[b] - s->lowest[at]) + taste[1] * waste -
                        taste[2] * (s->end[b] - s->first[b]) - taste[3] * s->size[b];
        if (taste[4] > 0)
            score += draw(state, taste[4]);
        if (score < best_score) {
            best_score = score;
            best = b;
        }
    }
    return best;
}

static void place(Search *s, int64_t b, int64_t *least, int64_t *rest_on, int64_t *load,
                  int64_t *is_open)
{
    int64_t top = rest_on[b] + s->size[b];
    is_open[b] = 0;
    for (int64_t t = s->first[b]; t < s->end[b]; t++)
        load[t] -= s->size[b];
    for (int64_t c = 0; c < s->buffers; c++) {
        if (!is_open[c] || s->first[c] >= s->end[b] || s->first[b] >= s->end[c])
            continue;
        int64_t above = up(top, s->align[c]);
        if (rest_on[c] < 0)
            rest_on[c] = -1 - rest_on[c]; /* it may be placed again */
        if (rest_on[c] < above)
            rest_on[c] = above;
        if (least[c] < above)
            least[c] = above;
    }
}

/* Something open that meets b, and begins below the end that b would have, lies below b; -1: nothing can. */
static int64_t lifted(const Search *s, int64_t b, const int64_t *least, const int64_t *is_open)
{
    int64_t reach = least[b] + s->size[b], lowest = FAR;
    for (int64_t c = 0; c < s->buffers; c++)
        if (c != b && is_open[c] && s->first[c] < s->end[b] && s->first[b] < s->end[c] &&
            least[c] < reach && least[c] + s->size[c] < lowest)
            lowest = least[c] + s->size[c];
    if (lowest > s->ceiling)
        return -1;
    lowest = up(lowest, s->align[b]);
    if (lowest < least[b])
        lowest = least[b];
    return lowest + s->size[b] > s->ceiling ? -1 : lowest;
}

static int64_t run(Search *s, int64_t limit, uint64_t state, int64_t *weight, const int64_t *taste,
                   int64_t *offset, int64_t *pick, int64_t *placed, int64_t depths, int64_t *nodes)
{
    int64_t n = s->buffers, m = s->sections, depth = 0, fresh = 1;
    for (;;) {
        int64_t *least = s->least + depth * n, *rest_on = s->rest_on + depth * n;
        int64_t *load = s->load + depth * m, *is_open = s->is_open + depth * n;
        int64_t go = 1;
        if (fresh) {
            if (*nodes >= limit)
                return STOPPED;
            ++*nodes;
            int64_t failed = propagate(s, least, load, is_open);
            if (failed >= 0) {
                weight[failed] += 16;
                go = 0;
            } else {
                int64_t left = 0;
                for (int64_t b = 0; b < n; b++)
                    left += is_open[b];
                if (left == 0)
                    return FOUND;
                pick[depth] = choose(s, least, rest_on, load, is_open, weight, taste, &state);
                placed[depth] = -1;
                go = pick[depth] >= 0;
            }
        }
        int64_t b = go ? pick[depth] : -1, lifted_to = -1;
        if (go && placed[depth] == 0)
            lifted_to = lifted(s, b, least, is_open);
        if (!go || placed[depth] > 0 || (placed[depth] == 0 && lifted_to < 0)) {
            if (--depth < 0)
                return EXHAUSTED;
            placed[depth]++;
            fresh = 0;
            continue;
        }
        if (depth + 1 >= depths)
            return STOPPED; /* not exhausted: nothing is known below here */
        memcpy(least + n, least, (size_t)n * sizeof *least);
        memcpy(rest_on + n, rest_on, (size_t)n * sizeof *rest_on);
        memcpy(is_open + n, is_open, (size_t)n * sizeof *is_open);
        memcpy(load + m, load, (size_t)m * sizeof *load);
        if (placed[depth] < 0) {
            offset[b] = rest_on[b];
            place(s, b, least + n, rest_on + n, load + m, is_open + n);
        } else {
            (least + n)[b] = lifted_to;
            (rest_on + n)[b] = -1 - rest_on[b]; /* not to be placed before what lies below it */
        }
        depth++;
        fresh = 1;
    }
}

int64_t arena_search(int64_t buffers, int64_t sections, const int64_t *first, const int64_t *end,
                     const int64_t *size, const int64_t *align, int64_t ceiling, int64_t limit,
                     uint64_t seed, int64_t *weight, const int64_t *taste, int64_t *offset,
                     int64_t *nodes)
{
    int64_t depths = 8 * buffers + 16;
    int64_t cells = depths * (3 * buffers + sections + 2) + buffers + 5 * sections;
    int64_t *memory = calloc((size_t)cells, sizeof *memory), *at = memory;
    if (memory == NULL)
        return NO_MEMORY;
    Search s = {.buffers = buffers, .sections = sections, .ceiling = ceiling,
                .first = first, .end = end, .size = size, .align = align};
    int64_t **parts[] = {&s.least, &s.rest_on, &s.is_open};
    for (int i = 0; i < 3; i++, at += depths * buffers)
        *parts[i] = at;
    s.load = at;
    at += depths * sections;
    int64_t **rows[] = {&s.stack, &s.lowest, &s.able, &s.top, &s.sole};
    for (int i = 0; i < 5; i++, at += sections)
        *rows[i] = at;
    s.order = at;
    at += buffers;
    for (int64_t b = 0; b < buffers; b++) {
        s.order[b] = b;
        s.is_open[b] = 1;
        for (int64_t t = first[b]; t < end[b]; t++)
            s.load[t] += size[b];
    }
    *nodes = 0;
    int64_t done = run(&s, limit, seed * UINT64_C(2654435761) + UINT64_C(88172645463325252), weight,
                       taste, offset, at, at + depths, depths, nodes);
    free(memory);
    return done;
}
