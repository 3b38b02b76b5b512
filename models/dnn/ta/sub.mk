global-incdirs-y += . ../runtime
srcs-y += tessera_dnn_ta.c
subdirs-y += ../runtime
