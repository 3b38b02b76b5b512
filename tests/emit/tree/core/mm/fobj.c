// SPDX-License-Identifier: BSD-2-Clause
#include <memtag.h>
#include <mm/fobj.h>
#include <mm/phys_mem.h>

#ifndef CFG_PAGED_USER_TA

struct fobj_sec_mem {
	tee_mm_entry_t *mm;
	struct fobj fobj;
};

static void sec_mem_free(struct fobj *fobj)
{
	struct fobj_sec_mem *f = container_of(fobj, struct fobj_sec_mem, fobj);

	tee_mm_free(f->mm);
	free(f);
}

const struct fobj_ops ops_sec_mem = {
	.free = sec_mem_free,
};

#endif /*CFG_PAGED_USER_TA*/
