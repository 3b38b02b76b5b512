/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files, as the Linux clients of the TAs read and write them */
#ifndef BLOB_H
#define BLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
	uint8_t *data;
	size_t size;
};

/* The name that stands in front of messages: each program has its own */
extern const char blob_program[];

/* The whole of a file; false, with a message, when it cannot be read */
bool blob_read(struct blob *blob, const char *path);
/* Writes by way of a file beside it; false, with a message, on failure */
bool blob_write(const struct blob *blob, const char *path);

#endif /* BLOB_H */
