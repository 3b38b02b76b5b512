srcs-y += model.c
srcs-y += ops.c
srcs-y += run.c
