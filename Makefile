# make run: the default study.  make test, make lint: checks.  make clean: all but results and what is known of them.
# make test-faults: the smoke study killed twenty times, half an hour.
# make test-cluster: the smoke study on a Slurm of this machine alone, as root; installs it by apt-get if need be.
# make docs: the documentation as a site, build/site/index.html.
# make schema: config/schema.json, by which editors check a config.
# make publish: docs/results and the README's numbers, from the finished study of config/study.yaml.
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
STAMP := $(VENV)/.installed

.PHONY: run test test-faults test-cluster slurm lint docs schema publish clean

run: $(STAMP)
	PATH="$(BIN):$$PATH" snakemake --cores $(CORES) --resources gpu=1

# A file of tests has one process of one thread; four processes at most, for their memory.
test: $(STAMP)
	PATH="$(BIN):$$PATH" python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

test-faults: $(STAMP)
	PATH="$(BIN):$$PATH" python -m pytest -q -m faults

test-cluster: $(STAMP) slurm
	PATH="$(BIN):$$PATH" python -m pytest -q -m cluster

slurm:
	@command -v slurmctld >/dev/null && command -v munged >/dev/null || { \
	    apt-get update -q && apt-get install -q -y --no-install-recommends slurm-wlm munge; }

lint: $(STAMP)
	PATH="$(BIN):$$PATH" ruff check .
	PATH="$(BIN):$$PATH" ruff format --check .
	PATH="$(BIN):$$PATH" mypy
	PATH="$(BIN):$$PATH" snakefmt --check Snakefile workflow
	PATH="$(BIN):$$PATH" snakemake --lint

docs: $(STAMP)
	PATH="$(BIN):$$PATH" mkdocs build --strict

schema: $(STAMP)
	$(VENV)/bin/python -m pinnlora.study.settings_files config

publish: $(STAMP)
	$(VENV)/bin/pinnlora publish results/study --docs docs/results --readme README.md

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist

# The first interpreter that is new enough and starts; installed again when pyproject.toml changes. pip is the last
# part of an environment: where it is missing, the making of it was cut short.
$(STAMP): pyproject.toml
	@found=; for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        found=$$python; break; \
	    fi; \
	done; \
	if [ -z "$$found" ]; then echo "make: no Python 3.11 or newer with venv found; install one" >&2; exit 1; fi; \
	if [ ! -x $(VENV)/bin/pip ]; then echo "making $(VENV) with $$($$found --version)"; $$found -m venv $(VENV); fi
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[dev,docs]"
	@touch $@
