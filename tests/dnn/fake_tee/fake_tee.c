// SPDX-License-Identifier: BSD-2-Clause
/*
 * Both ends of a TEE in one process: the client calls the TA's entry points.
 *
 * Memory that the TA shares with the client is sealed off while the TA runs:
 * only TEE_MemMove() can read or write it, anything else ends the process. So
 * nothing can be used in place. With FAKE_TEE_HOSTILE set, the normal world
 * also changes every byte right after it was read, the worst moment.
 *
 * With FAKE_TEE_RACE set, it writes noise, all the while that the TA runs, over
 * what the TA may read in place.
 *
 * FAKE_TEE_FAIL_AT=n lets the n-th allocation of the TA fail. The TA's heap is
 * TA_DATA_SIZE; what it still holds when the process ends is an error. With
 * FAKE_TEE_WIPED set, so is freeing memory that is not all zero.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tee_client_api.h>
#include <tee_internal_api.h>

#include "fake_tee.h"
#include "user_ta_header_defines.h"

/* The TA's view of one memory reference: pages of their own */
struct window {
	uint8_t *pages;
	size_t size;
	uint8_t *start;
	size_t used;
	void *back;	/* where the client's bytes are */
};

static struct window windows[4];
static size_t heap_used;
static unsigned int allocations;
static int handles;

_Noreturn void fake_stop(const char *why)
{
	fprintf(stderr, "fake TEE: %s\n", why);
	exit(70);
}

static _Noreturn void stop(const char *why)
{
	fake_stop(why);
}

bool fake_may_allocate(void)
{
	const char *fail_at = getenv("FAKE_TEE_FAIL_AT");

	return !fail_at || ++allocations != (unsigned int)atoi(fail_at);
}

void fake_count_handle(int change)
{
	handles += change;
}

__attribute__((weak)) uint32_t fake_direct(uint32_t command)
{
	(void)command;

	return 0;
}

static void protect(const struct window *w, int access)
{
	if (w->pages && mprotect(w->pages, w->size, access))
		stop("mprotect failed");
}

static struct window *window_of(const void *p)
{
	size_t i = 0;

	for (i = 0; i < 4; i++) {
		uint8_t *from = windows[i].pages;

		if (from && (uint8_t *)p >= from &&
		    (uint8_t *)p < from + windows[i].size)
			return windows + i;
	}

	return NULL;
}

static void check_inside(const struct window *w, const void *p, size_t size)
{
	if ((uint8_t *)p < w->start ||
	    size > (size_t)(w->start + w->used - (uint8_t *)p))
		stop("the TA left the bounds of a memory reference");
}

void *TEE_Malloc(size_t size, uint32_t hint)
{
	size_t *block = NULL;

	if (hint != TEE_MALLOC_FILL_ZERO)
		stop("unknown hint");
	if (!fake_may_allocate())
		return NULL;
	if (size > TA_DATA_SIZE - heap_used)
		return NULL;
	block = calloc(1, size + 2 * sizeof(size_t));
	if (!block)
		stop("no memory on the host");
	block[0] = size;
	heap_used += size;

	return block + 2;
}

void TEE_Free(void *p)
{
	size_t *block = p;
	size_t i = 0;

	if (!p)
		return;
	for (i = 0; getenv("FAKE_TEE_WIPED") && i < block[-2]; i++)
		if (((uint8_t *)p)[i])
			stop("the TA freed memory that was not wiped");
	heap_used -= block[-2];
	free(block - 2);
}

void TEE_MemMove(void *to, const void *from, size_t size)
{
	struct window *source = window_of(from);
	struct window *target = window_of(to);

	if (source) {
		check_inside(source, from, size);
		protect(source, PROT_READ | PROT_WRITE);
	}
	if (target) {
		check_inside(target, to, size);
		protect(target, PROT_READ | PROT_WRITE);
	}
	memmove(to, from, size);
	if (source && getenv("FAKE_TEE_HOSTILE"))
		memset((void *)(uintptr_t)from, 0xa5, size);
	if (source)
		protect(source, PROT_NONE);
	if (target)
		protect(target, PROT_NONE);
}

void TEE_MemFill(void *to, uint8_t byte, size_t size)
{
	memset(to, byte, size);
}

int32_t TEE_MemCompare(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size);
}

/* Gives the TA a view of the client's bytes that ends where its pages end */
static void open_window(struct window *w, void *bytes, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	memset(w, 0, sizeof(*w));
	/* A reference to no bytes has an address, too: that nobody may touch */
	w->size = (size / page + 1) * page;
	w->pages = mmap(NULL, w->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->pages == MAP_FAILED)
		stop("mmap failed");
	w->start = w->pages + w->size - size;
	w->used = size;
	w->back = bytes;
	memcpy(w->start, bytes, size);
	protect(w, PROT_NONE);
}

static void close_window(struct window *w, int written)
{
	if (!w->pages)
		return;
	protect(w, PROT_READ);
	if (written)
		memcpy(w->back, w->start, w->used);
	munmap(w->pages, w->size);
	memset(w, 0, sizeof(*w));
}

/* The client's parameter as the TA sees it; the type in the TA's terms */
static uint32_t give(uint32_t type, const TEEC_Parameter *theirs,
		     TEE_Param *ours, struct window *w)
{
	void *bytes = theirs->tmpref.buffer;
	size_t size = theirs->tmpref.size;

	if (type == TEEC_NONE)
		return TEE_PARAM_TYPE_NONE;
	if (type <= TEEC_VALUE_INOUT) {
		if (type != TEEC_VALUE_OUTPUT) {
			ours->value.a = theirs->value.a;
			ours->value.b = theirs->value.b;
		}
		return type;
	}
	if (type >= TEEC_MEMREF_PARTIAL_INPUT) {
		bytes = (uint8_t *)theirs->memref.parent->buffer +
			theirs->memref.offset;
		size = theirs->memref.size;
		type -= TEEC_MEMREF_PARTIAL_INPUT - TEEC_MEMREF_TEMP_INPUT;
	}
	open_window(w, bytes, size);
	ours->memref.buffer = w->start;
	ours->memref.size = size;

	return type;
}

static void take_back(uint32_t type, TEEC_Parameter *theirs,
		      const TEE_Param *ours, struct window *w)
{
	if (type == TEEC_VALUE_OUTPUT || type == TEEC_VALUE_INOUT) {
		theirs->value.a = ours->value.a;
		theirs->value.b = ours->value.b;
	} else if (type == TEEC_MEMREF_TEMP_OUTPUT ||
		   type == TEEC_MEMREF_TEMP_INOUT) {
		theirs->tmpref.size = ours->memref.size;
		close_window(w, 1);
	} else if (type == TEEC_MEMREF_PARTIAL_OUTPUT) {
		theirs->memref.size = ours->memref.size;
		close_window(w, 1);
	} else {
		close_window(w, 0);
	}
}

/* Noise over the parameters that are read in place, until it is told to end */
struct noise {
	pthread_t thread;
	uint32_t parameters;	/* a bit for each */
	atomic_bool over;
};

static void *make_noise(void *context)
{
	struct noise *noise = context;
	/* This way goes through where the pages may only be read */
	int memory = open("/proc/self/mem", O_RDWR);
	uint32_t state = 1;
	size_t i = 0;

	while (memory >= 0 && !atomic_load(&noise->over)) {
		for (i = 0; i < 4; i++) {
			const struct window *w = windows + i;

			state = state * 1664525 + 1013904223;
			if (noise->parameters >> i & 1 && w->used >= 4 &&
			    pwrite(memory, &state, 4,
				   (off_t)(uintptr_t)w->start +
					   state / 7 % (w->used / 4) * 4) != 4)
				stop("no noise");
		}
	}
	if (memory >= 0)
		close(memory);

	return NULL;
}

static TEEC_Result enter(TEEC_Session *session, int is_open, uint32_t command,
			 TEEC_Operation *op)
{
	TEE_Param params[4] = { 0 };
	TEEC_Result res = TEEC_SUCCESS;
	struct noise noise = { 0 };
	uint32_t types = 0;
	uint32_t i = 0;

	for (i = 0; op && i < 4; i++)
		types |= give(op->paramTypes >> 4 * i & 15, op->params + i,
			      params + i, windows + i) << 4 * i;
	for (i = 0; op && !is_open && i < 4; i++)
		if (fake_direct(command) >> i & 0x10)
			protect(windows + i, PROT_READ | PROT_WRITE);
		else if (fake_direct(command) >> i & 1)
			protect(windows + i, PROT_READ);
	if (op && !is_open && getenv("FAKE_TEE_RACE"))
		noise.parameters = fake_direct(command) & 15;
	if (noise.parameters &&
	    pthread_create(&noise.thread, NULL, make_noise, &noise))
		stop("no thread");
	if (is_open)
		res = TA_OpenSessionEntryPoint(types, params,
					       &session->ta_context);
	else
		res = TA_InvokeCommandEntryPoint(session->ta_context, command,
						 types, params);
	atomic_store(&noise.over, true);
	if (noise.parameters)
		pthread_join(noise.thread, NULL);
	for (i = 0; op && i < 4; i++)
		take_back(op->paramTypes >> 4 * i & 15, op->params + i,
			  params + i, windows + i);

	return res;
}

TEEC_Result TEEC_InitializeContext(const char *name, TEEC_Context *context)
{
	(void)name;
	(void)context;

	return TA_CreateEntryPoint();
}

void TEEC_FinalizeContext(TEEC_Context *context)
{
	(void)context;
	TA_DestroyEntryPoint();
	if (heap_used)
		stop("the TA still holds memory");
	if (handles)
		stop("the TA still holds handles");
}

TEEC_Result TEEC_OpenSession(TEEC_Context *context, TEEC_Session *session,
			     const TEEC_UUID *uuid, uint32_t login,
			     const void *data, TEEC_Operation *op,
			     uint32_t *origin)
{
	(void)context;
	(void)uuid;
	(void)login;
	(void)data;
	if (origin)
		*origin = 4;

	return enter(session, 1, 0, op);
}

void TEEC_CloseSession(TEEC_Session *session)
{
	TA_CloseSessionEntryPoint(session->ta_context);
}

TEEC_Result TEEC_InvokeCommand(TEEC_Session *session, uint32_t command,
			       TEEC_Operation *op, uint32_t *origin)
{
	if (origin)
		*origin = 4;

	return enter(session, 0, command, op);
}

TEEC_Result TEEC_AllocateSharedMemory(TEEC_Context *context,
				      TEEC_SharedMemory *memory)
{
	(void)context;
	memory->buffer = calloc(1, memory->size);

	return memory->buffer ? TEEC_SUCCESS : TEEC_ERROR_OUT_OF_MEMORY;
}

void TEEC_ReleaseSharedMemory(TEEC_SharedMemory *memory)
{
	free(memory->buffer);
}
