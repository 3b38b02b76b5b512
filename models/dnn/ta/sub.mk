global-incdirs-y += . ../runtime
srcs-y += tessera_dnn_ta.c
# Outside this folder, but built into the same output folder
srcs_ext_base-y := ../runtime
srcs_ext-y += model.c ops.c run.c
