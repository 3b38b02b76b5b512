global-incdirs-y += . ../../../../models/dnn/ta ../../../../models/dnn/runtime
srcs-y += tessera_crash_ta.c
# Outside this folder, but built into the same output folder
srcs_ext_base-y := ../../../../models/dnn/runtime
srcs_ext-y += model.c ops.c run.c
