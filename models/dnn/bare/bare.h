/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program without an operating system asks of the emulator (semihosting) */
#ifndef BARE_H
#define BARE_H

#include <stddef.h>
#include <stdint.h>

/* The whole file, aligned to 64, and its size; NULL if it cannot be read */
void *bare_read(const char *name, size_t *size);
int bare_write(const char *name, const void *data, size_t size);
void bare_exit(int code);

/* With -icount shift=0: instructions since the start, in steps of 16 */
uint64_t bare_instructions(void);

/* Memory is handed out once; free() does nothing */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *data);

#endif /* BARE_H */
