# Every target does its own set-up in .venv; only Python 3.11 or newer and make are needed.
#   make demo IMAGE=my.jpg
#   make test TORCH_INDEX=https://download.pytorch.org/whl/cpu     another index to take torch from, here PyTorch's CPU one

PYTHON ?= python3
TORCH_INDEX ?=
IMAGE ?=

BIN := .venv/bin
CORE := .venv/core
SERVE := .venv/serve
READY := .venv/ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -qq --no-compile -c constraints.txt

.PHONY: help setup demo page notebooks test lint format docs clean
.DEFAULT_GOAL := help

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv with all that training and tests need, pinned in constraints.txt

$(CORE): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("LION needs Python 3.11 or newer: name one with make PYTHON=...")'
	@echo "Setting up .venv, once (about a minute; torch is the bulk of it) ..."
	@$(PYTHON) -m venv .venv
	@$(if $(TORCH_INDEX),$(INSTALL) --no-deps --index-url $(TORCH_INDEX) torch)
	@$(INSTALL) -e .
	@touch $@

$(READY): $(CORE)
	@echo "Adding what training and tests need ..."
	@$(INSTALL) -e '.[train,serve,docs,dev]'
	@$(BIN)/python -m compileall -q -j 0 -x '/tests/|/transformers/models/' .venv/lib >/dev/null || true  # the rest when it is imported
	@touch $@

demo: $(CORE)  ## tags, a caption, an answer and a box for a picture (IMAGE=path for yours)
	@$(BIN)/python examples/demo.py $(if $(IMAGE),"$(IMAGE)")
	@echo "page     make page        then open http://127.0.0.1:8000"

$(SERVE): $(CORE)
	@$(INSTALL) -e '.[serve]'
	@touch $@

page: $(SERVE)  ## the page, at http://127.0.0.1:8000 until Ctrl-C
	@$(BIN)/lion serve

notebooks: $(READY)  ## run the notebooks, each in a clean kernel; outputs/notebooks/ has them with their pictures
	$(BIN)/python -m tools.notebooks

# A file's tests stay together, so that what they share is made once.
test: lint  ## lint, types and all tests but the slow ones, as many at a time as there are processors (at most 4)
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

lint: $(READY)  ## style, formatting and types
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy

format: $(READY)  ## mend style and formatting in place
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format -q .

docs: $(READY)  ## the site, into site/: open site/index.html; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q

clean:  ## remove .venv and tool caches
	rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache .hypothesis
