"""OP-TEE, TF-A, Linux and QEMU: get, build, boot, talk, measure."""
