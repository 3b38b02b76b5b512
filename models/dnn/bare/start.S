/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A board without an operating system (qemu-system-aarch64 -M virt): floating
 * point on, the first 2 GiB mapped as they lie (devices, then memory, because
 * accesses that are not aligned need mapped memory), then main().
 */
	.section .text.start, "ax"
	.global _start
_start:
	ldr	x0, =stack_top
	mov	sp, x0
	mov	x0, #(3 << 20)
	msr	cpacr_el1, x0

	/* Blocks of 1 GiB: [0] devices, [1] normal memory */
	ldr	x1, =table
	ldr	x2, =0x00000405
	str	x2, [x1]
	ldr	x2, =0x40000701
	str	x2, [x1, #8]
	mov	x2, #0xff
	msr	mair_el1, x2
	/* 39 bits of addresses, pages of 4 KiB, write-back, no second table */
	ldr	x2, =(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32)
	msr	tcr_el1, x2
	msr	ttbr0_el1, x1
	isb
	mrs	x2, sctlr_el1
	mov	x3, #0x1005
	orr	x2, x2, x3
	msr	sctlr_el1, x2
	isb

	bl	main
	bl	bare_exit

	.section .bss
	.balign	4096
table:
	.skip	4096
	.skip	65536
stack_top:
