# A small stand-in for OP-TEE's tree, written for the tests: only what the hooks look at.
CFG_OPTEE_REVISION_MAJOR ?= 4
CFG_OPTEE_REVISION_MINOR ?= 10
CFG_WITH_STATS ?= n
