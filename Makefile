# `make demo` and `make test` set everything up themselves; nothing else is needed but Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
PEERS := .venv-peers
GEODEEP := .venv-geodeep
AZURITE := .azurite/node_modules/.bin/azurite-blob

.PHONY: demo test test-all test-gis test-geodeep test-azure test-google test-oldest mutants kills chaos fuzz lint style types fast-tests all-tests bench bench-peers clean

$(VENV)/.pip: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("geoseg needs Python >= 3.11, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing geoseg into $(VENV): torch alone may take gigabytes and some minutes"
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/.user: $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# Users' part is installed with it, as pip takes long to find what fits together. It would compile
# 20,000 files one after the other; a few, that are templates, no Python can compile.
$(VENV)/.dev: $(VENV)/.pip
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $(VENV)/.user $@

$(OLDEST)/.dev: pyproject.toml tests/lower_bounds.py
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	$(OLDEST)/bin/python tests/lower_bounds.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --quiet --constraint $(OLDEST)/constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.user
	$(BIN)/geoseg demo --out demo

# The types are checked beside the tests, which leave the processors idle at times.
test: $(VENV)/.dev style
	$(MAKE) --jobs=2 types fast-tests

test-all: $(VENV)/.dev style
	$(MAKE) --jobs=2 types all-tests

fast-tests: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m 'not slow'

all-tests: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --hypothesis-profile=explore

# Real QGIS opens inputs and outputs. Where it is missing, Debian's is installed.
QGIS_PYTHON ?= /usr/bin/python3
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
test-gis: $(VENV)/.dev
	$(QGIS_PYTHON) -c 'import qgis.core' || { $(SUDO) apt-get update && $(SUDO) apt-get install --yes qgis python3-qgis gdal-bin; }
	$(QGIS_PYTHON) -c 'import qgis.core' || { echo 'no QGIS there; name its Python: make test-gis QGIS_PYTHON=...'; exit 1; }
	QGIS_PYTHON=$(QGIS_PYTHON) $(BIN)/python -m pytest tests/gis

$(GEODEEP)/.installed:
	test -x $(GEODEEP)/bin/python || $(PYTHON) -m venv $(GEODEEP)
	$(GEODEEP)/bin/python -m pip install --quiet 'geodeep>=0.9.12'
	touch $@

# GeoDeep, in an environment of its own, runs an exported model.
test-geodeep: $(VENV)/.dev $(GEODEEP)/.installed
	GEODEEP_PYTHON=$(CURDIR)/$(GEODEEP)/bin/python $(BIN)/python -m pytest -s tests/export/test_geodeep.py

$(AZURITE):
	npm install --silent --no-audit --no-fund --prefix .azurite azurite

OF_BUCKETS := tests/test_stores.py tests/test_leases.py tests/commands/test_predict_store.py

# Buckets as containers of Azure, on Azurite's server, which npm installs.
test-azure: $(VENV)/.dev $(AZURITE)
	AZURITE=$(CURDIR)/$(AZURITE) $(BIN)/python -m pytest $(OF_BUCKETS)

# Buckets as Google's, by its XML interface before the tests' own S3 server.
test-google: $(VENV)/.dev
	GOOGLE=1 $(BIN)/python -m pytest $(OF_BUCKETS)

# The same tests with the oldest versions that pyproject.toml allows.
test-oldest: $(OLDEST)/.dev
	$(OLDEST)/bin/python -m pytest -n 2 -m 'not slow'

# Small faults put into copies of the code, to see whether the tests notice them.
mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutation

# Commands killed at each of their steps on files, then a hundred times at random moments.
kills: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.kills --random 100

# Workers and schedulers of a cluster killed and frozen while a folder is predicted.
chaos: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos

# Damaged and hostile files of each kind: each is read, or refused in one line.
fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz

lint: style types

style: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

$(PEERS)/.dev: pyproject.toml
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --upgrade pip
	$(PEERS)/bin/python -m pip install --quiet --editable . monai
	timeout 1200 $(PEERS)/bin/python -m pip install --quiet geoai-py || echo 'geoai-py cannot be installed here in 20 minutes; its row says so'
	touch $@

# The same network in other tools, through their public interfaces: CASES=unet-2048 for one table.
bench-peers: $(PEERS)/.dev
	$(PEERS)/bin/python -m tests.benchmarks.peers $(CASES)

clean:
	rm -rf $(VENV) $(OLDEST) $(PEERS) $(GEODEEP) demo runs build dist
