# Tessera: `make` walks the whole road and leaves out/report.html, `make test` runs every test.
# Both create .venv and install what is missing; `make help` lists the rest.

PYTHON  ?= python3
SPEC    ?= specs/policies/priority.tess
BESIDE  ?= specs/policies/vanilla.tess
OUT     ?= out
WORKERS ?= 2

VENV    := .venv
BIN     := $(VENV)/bin
# The environment is redone when pyproject.toml changes, and only then.
STAMP   := $(VENV)/.ready-$(shell sha256sum pyproject.toml | cut -c1-16)
TESSERA := $(BIN)/tessera

.DEFAULT_GOAL := all
.PHONY: all test lint docs bench wheel doctor clean distclean help
.DELETE_ON_ERROR:

all: $(STAMP) ## check, patch, build, boot, validate; leaves out/report.html
	@$(TESSERA) report $(SPEC) --beside $(BESIDE) --setup -o $(OUT)

test: $(STAMP) ## every test, by WORKERS processes (2); TESSERA_REQUIRE_GUEST=1: a missing guest fails
	@$(TESSERA) guest setup || { \
	  echo 'make test: the guest tests need the parts above; see `tessera doctor`' >&2; \
	  test "$$TESSERA_REQUIRE_GUEST" != 1; }
	@sh kit/browser.sh || test "$$TESSERA_REQUIRE_GUEST" != 1
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check kit tests verification docs
	@$(BIN)/ruff format --check kit tests verification docs
	@$(BIN)/mypy

docs: $(STAMP) ## renew what is written by scripts: modules, reference, editor grammar
	@$(BIN)/python docs/modules.py --write
	@$(BIN)/python docs/reference.py --write
	@$(BIN)/python docs/editor.py --write

bench: $(STAMP) ## measure what takes how long; JSON in out/bench.json
	@$(BIN)/python verification/bench/first_light.py -o $(OUT)/bench.json

wheel: $(STAMP) ## build dist/tessera-*.whl
	@$(BIN)/python -m build --wheel

doctor: $(STAMP) ## which parts are here, and how to mend those that are not
	@$(TESSERA) doctor

clean: ## remove what make built here (keeps .venv and the user's cache)
	rm -rf $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean ## also remove .venv; `tessera guest clean` empties the user's cache
	rm -rf $(VENV)

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | sed 's/make all\t/make\t/' | expand -t 20

$(STAMP):
	@PYTHON='$(PYTHON)' VENV='$(VENV)' sh kit/bootstrap.sh
	@rm -f $(VENV)/.ready-*
	@touch $@
