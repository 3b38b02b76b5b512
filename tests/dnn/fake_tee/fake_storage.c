// SPDX-License-Identifier: BSD-2-Clause
/*
 * Secure storage of the TEE Internal Core API: files in the folder that
 * FAKE_TEE_STORE names, each an object as it lies in memory. With
 * FAKE_TEE_BUSY set, every object is held by another session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_tee.h"

static void path_of(const uint8_t *id, size_t size, char path[512])
{
	const char *folder = getenv("FAKE_TEE_STORE");
	int at = 0;
	size_t i = 0;

	if (!folder)
		fake_stop("FAKE_TEE_STORE is not set");
	at = snprintf(path, 400, "%s/", folder);
	for (i = 0; i < size && i < 40; i++)
		at += sprintf(path + at, "%02x", id[i]);
}

static void save(const struct fake_object *object)
{
	struct fake_object copy = *object;
	FILE *file = fopen(object->path, "wb");

	copy.at = 0;
	memset(copy.path, 0, sizeof(copy.path));
	if (!file || fwrite(&copy, sizeof(copy), 1, file) != 1 || fclose(file))
		fake_stop("the store cannot be written");
}

/* A handle of an object */
static TEE_ObjectHandle hold(const struct fake_object *found, uint32_t flags)
{
	TEE_ObjectHandle object = malloc(sizeof(*found));

	if (!object)
		fake_stop("no memory on the host");
	*object = *found;
	object->flags = flags;
	object->stored = true;
	fake_count_handle(1);

	return object;
}

TEE_Result TEE_OpenPersistentObject(uint32_t storage, const void *id,
				    size_t id_size, uint32_t flags,
				    TEE_ObjectHandle *object)
{
	struct fake_object found = { 0 };
	char path[512] = { 0 };
	FILE *file = NULL;
	size_t read = 0;

	*object = NULL;
	if (storage != TEE_STORAGE_PRIVATE)
		fake_stop("no such storage");
	path_of(id, id_size, path);
	file = fopen(path, "rb");
	if (!file)
		return TEE_ERROR_ITEM_NOT_FOUND;
	read = fread(&found, 1, sizeof(found), file);
	fclose(file);
	if (read != sizeof(found))
		return TEE_ERROR_CORRUPT_OBJECT;
	if (getenv("FAKE_TEE_BUSY"))
		return TEE_ERROR_ACCESS_CONFLICT;
	if (!fake_may_allocate())
		return TEE_ERROR_OUT_OF_MEMORY;
	memcpy(found.path, path, sizeof(path));
	*object = hold(&found, flags);

	return TEE_SUCCESS;
}

TEE_Result TEE_CreatePersistentObject(uint32_t storage, const void *id,
				      size_t id_size, uint32_t flags,
				      TEE_ObjectHandle attributes,
				      const void *data, size_t size,
				      TEE_ObjectHandle *object)
{
	struct fake_object made = { 0 };
	FILE *there = NULL;

	if (storage != TEE_STORAGE_PRIVATE)
		fake_stop("no such storage");
	if (!fake_may_allocate())
		return TEE_ERROR_OUT_OF_MEMORY;
	path_of(id, id_size, made.path);
	there = fopen(made.path, "rb");
	if (there)
		fclose(there);
	if (there && !(flags & TEE_DATA_FLAG_OVERWRITE))
		return TEE_ERROR_ACCESS_CONFLICT;
	if (size > sizeof(made.data))
		fake_stop("too much data for an object");
	made.type = TEE_TYPE_DATA;
	if (attributes) {
		made.type = attributes->type;
		made.ready = attributes->ready;
		memcpy(made.secret, attributes->secret, FAKE_SECRET);
		memcpy(made.x, attributes->x, FAKE_SECRET);
		memcpy(made.y, attributes->y, FAKE_SECRET);
	}
	if (size)
		memcpy(made.data, data, size);
	made.size = (uint32_t)size;
	save(&made);
	*object = hold(&made, flags);

	return TEE_SUCCESS;
}

TEE_Result TEE_ReadObjectData(TEE_ObjectHandle object, void *buffer,
			      size_t size, size_t *count)
{
	size_t left = object->size - object->at;

	if (!(object->flags & TEE_DATA_FLAG_ACCESS_READ))
		fake_stop("read of an object that is not open for it");
	*count = size < left ? size : left;
	memcpy(buffer, object->data + object->at, *count);
	object->at += (uint32_t)*count;

	return TEE_SUCCESS;
}

TEE_Result TEE_WriteObjectData(TEE_ObjectHandle object, const void *buffer,
			       size_t size)
{
	if (!(object->flags & TEE_DATA_FLAG_ACCESS_WRITE))
		fake_stop("write of an object that is not open for it");
	if (size > sizeof(object->data) - object->at)
		fake_stop("too much data for an object");
	memcpy(object->data + object->at, buffer, size);
	object->at += (uint32_t)size;
	if (object->size < object->at)
		object->size = object->at;
	save(object);

	return TEE_SUCCESS;
}

TEE_Result TEE_SeekObjectData(TEE_ObjectHandle object, intmax_t offset,
			      TEE_Whence whence)
{
	if (whence != TEE_DATA_SEEK_SET || offset < 0 ||
	    offset > (intmax_t)object->size)
		fake_stop("seek");
	object->at = (uint32_t)offset;

	return TEE_SUCCESS;
}

void TEE_CloseObject(TEE_ObjectHandle object)
{
	if (!object->stored)
		fake_stop("close of an object that is not stored");
	fake_count_handle(-1);
	free(object);
}
