global-incdirs-y += . ../../runtime
srcs-y += tessera_sealed_ta.c package.c keys.c seal.c point.c
# Outside this folder, but built into the same output folder
srcs_ext_base-y := ../../runtime
srcs_ext-y += tx_run.c
