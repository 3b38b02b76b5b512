// SPDX-License-Identifier: BSD-2-Clause
/* Packages in the clear: see plain.h */
#include <stdlib.h>
#include <string.h>

#include "plain.h"

static bool read_block(const uint8_t *data, size_t size, size_t *at,
		       struct plain_block *block)
{
	if (size - *at < 4)
		return false;
	memcpy(&block->bytes, data + *at, 4);
	*at += 4;
	if (!block->bytes || block->bytes % 4 || block->bytes > size - *at)
		return false;
	block->data = data + *at;
	*at += block->bytes;

	return true;
}

bool plain_open(const void *data, size_t size, struct plain *plain)
{
	size_t at = 8;
	uint32_t i = 0;

	*plain = (struct plain){ .blocks = 0 };
	if (size < at || memcmp(data, "TSPP", 4))
		return false;
	memcpy(&plain->blocks, (const uint8_t *)data + 4, 4);
	if (!plain->blocks || plain->blocks > size / 8)
		return false;
	plain->block = calloc(plain->blocks, sizeof(*plain->block));
	if (!plain->block)
		return false;
	for (i = 0; i < plain->blocks; i++)
		if (!read_block(data, size, &at, &plain->block[i]))
			break;
	if (i == plain->blocks && at == size)
		return true;
	plain_close(plain);

	return false;
}

void plain_close(struct plain *plain)
{
	free(plain->block);
	*plain = (struct plain){ .blocks = 0 };
}

/* Every buffer is just as large as it is said to be: a checker sees one byte more */
bool plain_room_make(const struct tx_manifest *manifest,
		     struct plain_room *room)
{
	room->arena = aligned_alloc(16, manifest->arena);
	room->code = malloc(manifest->chunk);
	room->packed = malloc(manifest->chunk);
	if (room->arena && room->code && room->packed) {
		memset(room->arena, 0xa5, manifest->arena);
		return true;
	}
	plain_room_free(room);

	return false;
}

void plain_room_free(struct plain_room *room)
{
	free(room->arena);
	free(room->code);
	free(room->packed);
	*room = (struct plain_room){ .arena = NULL };
}

int plain_run(const struct plain *plain, struct tx_machine *machine,
	      const struct tx_io *io, plain_watch *watch, void *context)
{
	enum tx_status status = TX_OK;

	while ((status = tx_run(machine, io)) == TX_NEED_BLOCK) {
		const struct tx_need *need = &machine->need;

		if (need->index >= plain->blocks ||
		    plain->block[need->index].bytes != need->bytes)
			return PLAIN_NO_BLOCK;
		if (watch)
			watch(context, need->index);
		memcpy(need->to, plain->block[need->index].data, need->bytes);
	}

	return status;
}
