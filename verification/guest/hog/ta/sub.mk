global-incdirs-y += .
srcs-y += tessera_hog_ta.c
