global-incdirs-y += . ../../runtime
srcs-y += tessera_sealed_ta.c package.c keys.c seal.c point.c user_data.c memory.c
# Outside this folder, but built into the same output folder
srcs_ext_base-y := ../../runtime
srcs_ext-y += tx_manifest.c tx_run.c tx_code.c tx_check.c tx_layers.c unpack.c
srcs_ext-y += tl_conv.c tl_dense.c tl_depthwise.c tl_element.c tl_pool.c
srcs_ext-y += tq_conv.c tq_dense.c tq_depthwise.c tq_element.c tq_pool.c
srcs_ext-y += tm_erf.c tm_exp.c tm_log.c tm_root.c tm_trig.c
# The kit's -mstrict-align makes 16 single bytes of each load of a vector. It is needed for memory of
# devices, which a TA has none of, and where the core has SCTLR_EL1.A set, which holds for TAs too.
ifeq ($(shell sed -n 's/^CFG_SCTLR_ALIGNMENT_CHECK=//p' $(ta-dev-kit-dir)/host_include/conf.mk),n)
cflags-y += -mno-strict-align
endif
# A step that is fused elsewhere would give other bits
cflags-y += -O2 -ffp-contract=off
# See memory.c
cflags-memory.c-y += -fno-tree-loop-distribute-patterns
