// SPDX-License-Identifier: BSD-2-Clause
#include <kernel/user_ta_store.h>
#include <mm/phys_mem.h>

#ifdef CFG_REE_FS_TA_BUFFERED

struct image {
	tee_mm_entry_t *mm;
	uint8_t *buf;
	size_t size;
};

static TEE_Result buf_ta_open(const TEE_UUID *uuid, struct image **out)
{
	struct image *handle = calloc(1, sizeof(*handle));
	TEE_Result res = TEE_ERROR_OUT_OF_MEMORY;

	if (!handle)
		return res;
	res = find_image(uuid, &handle->size);
	if (res)
		goto err;
	handle->mm = phys_mem_ta_alloc(handle->size);
	if (!handle->mm)
		goto err;
	handle->buf = map_image(handle->mm);
	res = read_image(uuid, handle->buf, handle->size);
	if (res)
		goto err;
	*out = handle;
	return TEE_SUCCESS;

err:
	close_image(uuid);
	tee_mm_free(handle->mm);
	free(handle);
	return res;
}

static void buf_ta_close(struct image *handle)
{
	if (!handle)
		return;
	tee_mm_free(handle->mm);
	free(handle);
}

#endif /*CFG_REE_FS_TA_BUFFERED*/
