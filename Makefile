# Everything starts here: `make demo` or `make test` on a machine with Python, git and a network.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The engine that tools/engine provides, or the host's own.
WITH_ENGINE = tools/engine start && eval "$$(tools/engine env)" &&
# Build steps trust the certificates that this host trusts.
export SMFORGE_CA_BUNDLE ?= $(or $(SSL_CERT_FILE),$(PIP_CERT),$(wildcard /etc/ssl/certs/ca-certificates.crt))
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate
# The marks of tests that need real parts from outside the checkout, or more than two seconds.
NEEDS_PARTS = engine or network or browser or toolchain or slow
# An image's locks: all components resolved together, and then one file for each.
IMAGE_COMPONENTS = flashinfer vllm lmcache nixl mooncake
BUILT_HERE = vllm lmcache nixl-cu13 mooncake-transfer-engine-cuda13
IMAGE_COMPILE = $(COMPILE) --directory docker/image/requirements/cu130 --python-version 3.13 --only-binary :all:

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-full test test-quick test-parts lint lock docs bench fuzz dist audit-tool clean

help: ## Show what there is
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/ready ## Make .venv and see to a Docker Engine; nothing is done twice
	@tools/engine install || echo "make: without an engine, smforge audits but does not build" >&2

demo: setup ## Build FlashInfer's core for 11.0a, 12.0f, 12.1a, and audit what came out
	@$(WITH_ENGINE) $(BIN)/smforge build demo

demo-full: setup ## Build every wheel and the image for 12.1, and audit both (40 minutes on two cores, 30 GB)
	@$(WITH_ENGINE) $(BIN)/smforge build demo-full

test: setup ## Run the whole test suite, the builds on a real engine included
	@$(WITH_ENGINE) $(BIN)/pytest $(TESTS)

test-quick: $(VENV)/ready ## Run what needs no engine, network, browser or compiler (two to three minutes)
	@$(BIN)/pytest -m "not ($(NEEDS_PARTS))" $(TESTS)

test-parts: setup ## Run the rest: real engine, network, browser and compiler
	@$(WITH_ENGINE) $(BIN)/pytest -m "$(NEEDS_PARTS)" $(TESTS)

lint: $(VENV)/ready ## Check style, types, shell scripts and the bake definition
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@for script in tools/engine tools/dist .ci/run docker/base/fetch-source docker/base/with-site-settings docker/base/prove/prove.sh docker/vllm/compile.sh docker/connectors/compile.sh docker/compile-cache/with-compile-cache docker/published/make_wheel.sh; do bash -n $$script; done

lock: $(VENV)/ready ## Resolve the requirements anew
	$(COMPILE) --upgrade --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	$(COMPILE) --upgrade --python-version 3.11 --extra build -c requirements/runtime.txt pyproject.toml -o requirements/build.txt
	$(COMPILE) --upgrade --python-version 3.11 --extra build --group dev -c requirements/build.txt pyproject.toml -o requirements/dev.txt
	$(COMPILE) --upgrade --python-version 3.11 --group wheel -c requirements/dev.txt -o requirements/wheel.txt
	$(COMPILE) --upgrade --python-version 3.11 --group docs -c requirements/dev.txt pyproject.toml -o requirements/docs.txt
	cp requirements/runtime.txt docker/published/requirements.txt
	$(COMPILE) --upgrade --python-version 3.11 docker/flashinfer/requirements.in -o docker/flashinfer/requirements.txt
	$(COMPILE) --upgrade --python-version 3.11 docker/vllm/requirements.in -o docker/vllm/requirements.txt
	$(COMPILE) --upgrade --python-version 3.12 docker/compile-cache/requirements.in -o docker/compile-cache/requirements.txt
	$(COMPILE) --upgrade --python-version 3.11 docker/connectors/requirements.in -o docker/connectors/requirements.txt
	$(COMPILE) --upgrade --python-version 3.12 docker/image/tools.in -o docker/image/tools.txt
	$(COMPILE) --upgrade --python-version 3.11 tests/toolchains/s3-server.in -o tests/toolchains/s3-server.txt
	$(COMPILE) --upgrade --python-version 3.11 tests/toolchains/ci-tools.in -o tests/toolchains/ci-tools.txt
	@mkdir -p .smforge
	$(IMAGE_COMPILE) --upgrade $(IMAGE_COMPONENTS:%=--group %) -o $(CURDIR)/.smforge/image.txt
	for one in $(IMAGE_COMPONENTS); do \
	    $(IMAGE_COMPILE) --group $$one -c $(CURDIR)/.smforge/image.txt $(BUILT_HERE:%=--no-emit-package %) -o $$one.txt || exit; \
	done

docs: $(VENV)/ready ## Build the documentation's site into .smforge/site, and check its links
	@test -x .smforge/docs/bin/mkdocs || { $(BIN)/uv venv --quiet --python $(BIN)/python .smforge/docs && \
	    $(BIN)/uv pip install --quiet --python .smforge/docs/bin/python --require-hashes -r requirements/docs.txt; }
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=builder .smforge/docs/bin/mkdocs build --strict --quiet

bench: $(VENV)/ready ## Measure the audit beside cuobjdump, on wheels it fetches (2 GB; BENCH=--quick)
	@$(BIN)/python -m benchmarks $(BENCH)

fuzz: $(VENV)/ready ## Give the readers 200,000 hostile inputs
	@$(BIN)/uv pip install --quiet --python $(BIN)/python atheris
	@$(BIN)/python -m benchmarks.fuzz --runs 200000

dist: $(VENV)/ready ## Build the wheel and the source archive into dist/, the same bytes each time, and try them
	@tools/dist

audit-tool: setup dist ## Build the image of the audit tool from dist/, and give it to the engine
	@$(WITH_ENGINE) $(BIN)/python -m smforge.workflow.audit_tool --load

clean: ## Remove what was built; the engine and its cache stay (tools/engine remove)
	rm -rf $(VENV) out dist .smforge .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
