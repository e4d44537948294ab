# Made by `smforge init`. The jobs of the CI pipeline run `make setup` first.

SMFORGE ?= smforge[build]=={version}

.PHONY: setup
setup: .venv/ready
	@tools/engine install

.venv/ready:
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check '$(SMFORGE)'
	@touch $@
