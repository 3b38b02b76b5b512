/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the lockstep puts under a tree's page pool: locks that are watched, a heap whose n-th call
 * can fail, physical memory as a mapping with nothing around it, and a panic that is caught.
 */
#ifndef SYSTEM_SHIM_H
#define SYSTEM_SHIM_H

#define SHIM_SYSTEM
#define CFG_WITH_STATS 1
#define CFG_REE_FS_TA_BUFFERED 1
#include "pool_shim.h"

typedef uintptr_t vaddr_t;
typedef uint32_t TEE_Result;

#define TEE_SUCCESS 0
#define TEE_ERROR_GENERIC 0xffff0000
#define TEE_ERROR_BAD_PARAMETERS 0xffff0006
#define TEE_ERROR_OUT_OF_MEMORY 0xffff000c
#define TEE_ERROR_SHORT_BUFFER 0xffff0010
#define TEE_ERROR_SECURITY 0xffff000f

/* --- a panic ends the operation ---------------------------------------------------------------- */

_Noreturn void shim_panic(const char *what, const char *file, int line);
#undef assert
#define assert(test) ((test) ? (void)0 : shim_panic("assertion " #test, __FILE__, __LINE__))
#define panic(...) shim_panic("panic", __FILE__, __LINE__)

/* --- locks: held once, by who takes them, and given back --------------------------------------- */

#define SPINLOCK_UNLOCK 0
#define LOCK_STATE 0x5a5a0000U
uint32_t shim_lock(unsigned int *lock);
void shim_unlock(unsigned int *lock, uint32_t state);
#define cpu_spin_lock_xsave(lock) shim_lock(lock)
#define cpu_spin_unlock_xrestore(lock, state) shim_unlock(lock, state)

/* --- the heap: shim_fail_at counts down to the call that fails --------------------------------- */

void *shim_alloc(size_t size);
void shim_free(void *ptr);
void *shim_calloc(size_t count, size_t size);
/* Without parameters, so that members of these names are renamed where they are declared, too */
#define malloc shim_alloc
#define calloc shim_calloc
#define free shim_free
#define malloc_flags(flags, ptr, align, size) ((void)(flags), shim_alloc(size))
#define free_flags(flags, ptr) ((void)(flags), shim_free(ptr))
#define nex_malloc shim_alloc
#define nex_calloc shim_calloc
#define nex_free shim_free

/* --- memory ------------------------------------------------------------------------------------ */

#define SMALL_PAGE_SHIFT 12
#define SMALL_PAGE_SIZE 4096U
#define CORE_MMU_USER_CODE_SHIFT SMALL_PAGE_SHIFT
#define CORE_MMU_USER_CODE_MASK ((paddr_t)SMALL_PAGE_SIZE - 1)
#define TEE_RAM_VA_SIZE 0x200000
#define MAF_CORE_MEM 0x20
#define MEM_AREA_SEC_RAM_OVERALL 0
void *shim_virt(paddr_t pa, size_t len);
#define phys_to_virt(pa, type, len) shim_virt(pa, len)
#define memtag_clear_mem(va, size) memset(va, 0, size)

static inline bool core_is_buffer_inside(paddr_t b, paddr_size_t bl, paddr_t a, paddr_size_t al)
{
	return bl && al && b >= a && b - 1 + bl >= b && b - 1 + bl <= a - 1 + al;
}

static inline bool core_is_buffer_intersect(paddr_t b, paddr_size_t bl, paddr_t a, paddr_size_t al)
{
	return bl && al && b <= a - 1 + al && a <= b - 1 + bl;
}

struct pta_stats_alloc {
	char desc[32];
	uint32_t allocated;
	uint32_t max_allocated;
	uint32_t size;
	uint32_t num_alloc_fail;
	uint32_t biggest_alloc_fail;
	uint32_t biggest_alloc_fail_used;
};

#include <config.h> /* IS_ENABLED(), from the tree */

/* --- the small things of the files' headers ---------------------------------------------------- */

#define __nex_bss
#define __weak __attribute__((weak))
#define __relrodata_unpaged(name)
#define DECLARE_KEEP_PAGER(name) struct shim_keep_##name
#define ADD_OVERFLOW(a, b, res) __builtin_add_overflow(a, b, res)
#define MUL_OVERFLOW(a, b, res) __builtin_mul_overflow(a, b, res)
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define DMSG(...) ((void)0)
#define EMSG(...) ((void)0)

struct refcount {
	unsigned int val;
};

#define refcount_set(r, v) ((void)((r)->val = (v)))
#define refcount_val(r) ((r)->val)

static inline bool refcount_inc(struct refcount *r)
{
	return r->val && ++r->val;
}

static inline bool refcount_dec(struct refcount *r)
{
	assert(r->val);
	return !--r->val;
}

/* --- the store of signed images that buf_ta_open() reads from ---------------------------------- */

struct ftmn {
	int unused;
};

#define FTMN_FUNC_HASH(name) 0
#define FTMN_INCR0 0
#define FTMN_INCR1 0
#define FTMN_STEP_COUNT(...) 0
#define FTMN_PUSH_LINKED_CALL(ftmn, hash) ((void)(ftmn))
#define FTMN_POP_LINKED_CALL(ftmn) ((void)(ftmn))
#define FTMN_SET_CHECK_RES_FROM_CALL(ftmn, incr, res) ((void)(ftmn))
#define ftmn_checkpoint(ftmn, incr) ((void)(ftmn))
#define ftmn_return_res(ftmn, steps, res) (res)
#define copy_to_user(to, from, len) (memcpy(to, from, len), TEE_SUCCESS)

struct ts_store_handle;

struct ts_store_ops {
	const char *description;
	TEE_Result (*open)(const TEE_UUID *uuid, struct ts_store_handle **h);
	TEE_Result (*get_size)(const struct ts_store_handle *h, size_t *size);
	TEE_Result (*get_tag)(const struct ts_store_handle *h, uint8_t *tag, unsigned int *len);
	TEE_Result (*read)(struct ts_store_handle *h, void *core, void *user, size_t len);
	void (*close)(struct ts_store_handle *h);
};

#define REGISTER_TA_STORE(priority) static const struct ts_store_ops shim_store

TEE_Result ree_fs_ta_open(const TEE_UUID *uuid, struct ts_store_handle **h);
TEE_Result ree_fs_ta_get_size(const struct ts_store_handle *h, size_t *size);
TEE_Result ree_fs_ta_get_tag(const struct ts_store_handle *h, uint8_t *tag, unsigned int *len);
TEE_Result ree_fs_ta_read(struct ts_store_handle *h, void *core, void *user, size_t len);
void ree_fs_ta_close(struct ts_store_handle *h);

#define SHIM_READY

#endif /*SYSTEM_SHIM_H*/
