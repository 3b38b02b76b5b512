// SPDX-License-Identifier: BSD-2-Clause
/*
 * One package, opened and run; see package.h.
 *
 * A block is copied out of shared memory once, to where its plaintext belongs,
 * and decrypted there. What it is and how long it must be comes from the
 * executor, never from the normal world. Inputs and outputs stay where they
 * are: nothing is decided by what they hold. Sealed ones are in memory of their
 * own, see user_data.h.
 */
#include "keys.h"
#include "package.h"
#include "user_ta_header_defines.h"

#define HEAD	(4 + TESSERA_SEALED_IDENTITY)	/* before the manifest */

static void *take(struct package *package, size_t size)
{
	void *p = TEE_Malloc(size, TEE_MALLOC_FILL_ZERO);

	if (p) {
		package->held += size;
		if (package->peak < package->held)
			package->peak = package->held;
	}

	return p;
}

static void drop(void *p, size_t size)
{
	if (p)
		tx_wipe(p, size);
	TEE_Free(p);
}

/* Gives back what was taken for sealed inputs and outputs */
static void drop_io(struct package *package)
{
	drop(package->data.input, package->input_bytes);
	drop(package->data.output, package->output_bytes);
	user_data_close(&package->data);
}

void package_close(struct package *package)
{
	drop(package->arena, package->manifest.arena);
	drop(package->code, package->manifest.chunk);
	drop(package->packed, package->manifest.chunk);
	drop(package->manifest_data, package->manifest_size);
	drop_io(package);
	seal_close(&package->seal);
	tx_wipe(package, sizeof(*package));
}

/* The sum of tensors that begin at multiples of 4; 0 when it is no 32 bits */
static uint32_t total(const struct tx_tensor *tensors, uint32_t count)
{
	uint64_t sum = 0;
	uint32_t i = 0;

	for (i = 0; i < count; i++)
		sum += ((uint64_t)tx_tensor_bytes(tensors + i) + 3) / 4 * 4;

	return sum > UINT32_MAX ? 0 : (uint32_t)sum;
}

/* Copies a block's ciphertext to where it belongs and decrypts it there */
static TEE_Result take_block(struct package *package, const uint8_t *shared,
			     uint32_t index, void *to, size_t size)
{
	uint8_t tag[TESSERA_SEALED_TAG] = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	TEE_MemMove(to, shared, size);
	TEE_MemMove(tag, shared + size, sizeof(tag));
	res = seal_block(&package->seal, index, to, size, tag);
	if (!res) {
		package->blocks++;
		package->bytes += size;
	}

	return res;
}

/* Opens the cipher of the package that the head names */
static TEE_Result open_cipher(struct package *package, const uint8_t *shared)
{
	uint8_t key[SEAL_KEY] = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	TEE_MemMove(&package->seal.version, shared, 4);
	TEE_MemMove(package->seal.identity, shared + 4,
		    TESSERA_SEALED_IDENTITY);
	res = keys_of_package(package->seal.identity, package->seal.version,
			      key);
	if (!res)
		res = seal_open(&package->seal, key);
	if (!res)
		res = keys_binding(package->seal.identity,
				   package->seal.version, package->binding);
	TEE_MemFill(key, 0, sizeof(key));

	return res;
}

static TEE_Result open_manifest(struct package *package, const uint8_t *shared,
				size_t size)
{
	struct tx_manifest *manifest = &package->manifest;
	TEE_Result res = TEE_ERROR_GENERIC;

	package->manifest_data = take(package, size);
	if (!package->manifest_data)
		return TEE_ERROR_OUT_OF_MEMORY;
	package->manifest_size = size;
	res = take_block(package, shared, 0, package->manifest_data, size);
	if (res)
		return res;
	if (tx_manifest_parse(package->manifest_data, size, manifest) != TX_OK) {
		TEE_MemFill(manifest, 0, sizeof(*manifest));
		return TEE_ERROR_BAD_FORMAT;
	}
	package->input_bytes = total(manifest->input, manifest->inputs);
	package->output_bytes = total(manifest->output, manifest->outputs);
	if (manifest->version != package->seal.version ||
	    !package->input_bytes || !package->output_bytes)
		return TEE_ERROR_BAD_FORMAT;

	return TEE_SUCCESS;
}

static TEE_Result take_memory(struct package *package)
{
	const struct tx_manifest *manifest = &package->manifest;

	package->arena = take(package, manifest->arena);
	if (!package->arena)
		return TEE_ERROR_OUT_OF_MEMORY;
	package->code = take(package, manifest->chunk);
	if (!package->code)
		return TEE_ERROR_OUT_OF_MEMORY;
	package->packed = take(package, manifest->chunk);
	if (!package->packed)
		return TEE_ERROR_OUT_OF_MEMORY;

	return TEE_SUCCESS;
}

TEE_Result package_open(struct package *package, const uint8_t *shared,
			size_t size)
{
	const size_t least = HEAD + TESSERA_SEALED_TAG;
	TEE_Result res = TEE_ERROR_GENERIC;

	if (size <= least || size - least > TX_MAX_CHUNK || size % 4)
		return TEE_ERROR_BAD_PARAMETERS;

	package->held = sizeof(*package);
	package->peak = package->held;
	res = open_cipher(package, shared);
	if (!res)
		res = open_manifest(package, shared + HEAD, size - least);
	if (!res)
		res = take_memory(package);
	if (!res)	/* last: what cannot be run is not counted */
		res = keys_count_version(package->manifest.family,
					 package->manifest.version);
	if (res) {
		package_close(package);
		return res;
	}
	package->once = package->manifest.onces != 0;

	return TEE_SUCCESS;
}

/* Memory and ciphers for a user's key; what was made before an error is left */
static TEE_Result ready_io(struct package *package, const uint8_t key[SEAL_KEY],
			   const uint8_t *batch)
{
	struct user_data *data = &package->data;

	data->input = take(package, package->input_bytes);
	if (!data->input)
		return TEE_ERROR_OUT_OF_MEMORY;
	data->output = take(package, package->output_bytes);
	if (!data->output)
		return TEE_ERROR_OUT_OF_MEMORY;

	return user_data_open(data, key, package->binding, batch);
}

TEE_Result package_seal_io(struct package *package,
			   uint8_t given[TESSERA_SEALED_BLOB +
					 TESSERA_SEALED_BATCH],
			   uint8_t session[TESSERA_SEALED_SESSION])
{
	const size_t held = package->held;
	uint8_t key[SEAL_KEY] = { 0 };
	TEE_Result res = TEE_ERROR_GENERIC;

	if (package->data.open || package->steps)
		return TEE_ERROR_BAD_STATE;
	res = keys_of_user(given, key);
	if (!res)
		res = ready_io(package, key, given + TESSERA_SEALED_BLOB);
	TEE_MemFill(key, 0, sizeof(key));
	if (res) {
		drop_io(package);
		package->held = held;
		return res;
	}
	TEE_MemMove(session, package->data.session, TESSERA_SEALED_SESSION);

	return TEE_SUCCESS;
}

TEE_Result package_check_io(const struct package *package,
			    const struct package_memory *in,
			    struct package_memory *out)
{
	const size_t tag = package->data.open ? TESSERA_SEALED_TAG : 0;

	if (package->once)
		return in->size || out->size ? TEE_ERROR_BAD_PARAMETERS :
					       TEE_SUCCESS;
	if (in->size != package->input_bytes + tag || !in->data || !out->data ||
	    (uintptr_t)in->data % 4 || (uintptr_t)out->data % 4)
		return TEE_ERROR_BAD_PARAMETERS;
	if (out->size < package->output_bytes + tag) {
		out->size = package->output_bytes + tag;
		return TEE_ERROR_SHORT_BUFFER;
	}
	out->size = package->output_bytes + tag;

	return TEE_SUCCESS;
}

/* Where each tensor lies: in the memory of the normal world, or opened here */
static void find_tensors(const struct package *package, uint8_t *in,
			 uint8_t *out, struct tx_io *io)
{
	const struct tx_manifest *manifest = &package->manifest;
	uint32_t i = 0;

	for (i = 0; i < manifest->inputs; i++) {
		io->input[i] = in;
		in += (tx_tensor_bytes(manifest->input + i) + 3) / 4 * 4;
	}
	for (i = 0; i < manifest->outputs; i++) {
		io->output[i] = out;
		out += (tx_tensor_bytes(manifest->output + i) + 3) / 4 * 4;
	}
}

/* Runs until the window or the part is at its end */
static TEE_Result run(struct package *package, const uint8_t *window,
		      size_t size, const struct tx_io *io, bool *done)
{
	struct tx_machine *machine = &package->machine;
	enum tx_status status = TX_OK;
	TEE_Result res = TEE_ERROR_GENERIC;

	while (true) {
		if (package->waiting) {
			const struct tx_need *need = &machine->need;
			size_t whole = (size_t)need->bytes + TESSERA_SEALED_TAG;

			if (!size)
				return TEE_SUCCESS;
			if (size < whole)
				return TEE_ERROR_BAD_FORMAT;
			res = take_block(package, window, need->index,
					 need->to, need->bytes);
			if (res)
				return res;
			window += whole;
			size -= whole;
			package->taken++;
			package->waiting = false;
		}
		status = tx_run(machine, io);
		if (status == TX_OK)
			break;
		if (status != TX_NEED_BLOCK)
			return status == TX_BAD_CALL ? TEE_ERROR_GENERIC :
						       TEE_ERROR_BAD_FORMAT;
		package->waiting = true;
	}
	*done = true;

	return size ? TEE_ERROR_BAD_FORMAT : TEE_SUCCESS;
}

/* Begins the once part or an inference, whose sealed input is opened first */
static TEE_Result begin(struct package *package,
			const struct package_memory *in)
{
	TEE_Result res = TEE_SUCCESS;

	if (!package->once && package->data.open)
		res = user_data_take(&package->data, in->data,
				     package->input_bytes);
	if (res)
		return res;
	tx_begin(&package->machine, &package->manifest, package->arena,
		 package->code, package->packed, package->once);
	package->begun = true;
	package->waiting = false;
	package->taken = 0;

	return TEE_SUCCESS;
}

/* Ends the once part or an inference, whose output is sealed where it must be */
static TEE_Result end(struct package *package, const struct package_memory *out)
{
	TEE_Result res = TEE_SUCCESS;

	if (!package->once && package->data.open)
		res = user_data_give(&package->data, out->data,
				     package->output_bytes);
	package->instructions += package->machine.instructions;
	package->begun = false;
	package->once = false;

	return res;
}

TEE_Result package_step(struct package *package, const uint8_t *window,
			size_t size, const struct package_memory *in,
			const struct package_memory *out, bool *done)
{
	const bool sealed = package->data.open;
	struct tx_io io = { 0 };
	TEE_Result res = TEE_SUCCESS;

	*done = false;
	if (!package->once)
		find_tensors(package, sealed ? package->data.input : in->data,
			     sealed ? package->data.output : out->data, &io);
	package->steps++;
	if (!package->begun)
		res = begin(package, in);
	if (!res)
		res = run(package, window, size, package->once ? NULL : &io,
			  done);
	if (!res && *done)
		res = end(package, out);

	return res;
}

void package_info(const struct package *package,
		  struct tessera_sealed_info *info)
{
	TEE_MemFill(info, 0, sizeof(*info));
	info->version = package->manifest.version;
	info->has_once = package->manifest.onces != 0;
	info->input_bytes = package->input_bytes;
	info->output_bytes = package->output_bytes;
	info->chunk_bytes = package->manifest.chunk;
	info->arena_bytes = package->manifest.arena;
	info->data_bytes = TA_DATA_SIZE;
	info->heap_bytes = (uint32_t)package->held;
	info->heap_peak = (uint32_t)package->peak;
	info->steps = package->steps;
	info->blocks = package->blocks;
	info->bytes = package->bytes;
	info->instructions = package->instructions;
	if (package->begun)
		info->instructions += package->machine.instructions;
}
