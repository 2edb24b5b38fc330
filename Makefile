# The commands of the house. Nothing is assumed but Python 3.11 or later with venv.
#
#   make demo       from nothing to a report: .venv, the package, `qdescent run` into the next directory under runs/
#   make test       the floors, the tests and the doctests (CI runs this)
#   make test-all   the same with the tests that take minutes
#   make fuzz       every reader of files under changed bytes: make fuzz SECONDS=600
#   make check      ruff, formatting, types, then make test: run it before a commit
#   make docs       the site into site/: pages, formulas, API, executed gallery; a broken link ends it
#   make clean      removes .venv and every cache (runs/ stays)
#
# PYTHON=python3.12 names another interpreter; CONS=mine.txt other constraints (another torch build); CONS= none at all.

PYTHON ?= python3
CONS ?= constraints.txt
VENV := .venv
PIP := $(VENV)/bin/python -m pip
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
DOCS := $(VENV)/.docs-installed
BOTH := $(VENV)/.both-installed
EXTRA_.dev-installed := [dev]
EXTRA_.docs-installed := [docs]
EXTRA_.both-installed := [dev,docs]

# Two processes, a file of tests to each in turn; one thread a process, for two would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -q --doctest-modules -n 2 --dist loadfile

# Modules of the caller's environment would hide a dependency that pyproject.toml forgets.
unexport PYTHONPATH PYTHONHOME

.PHONY: demo test test-all fuzz check docs both clean
.DELETE_ON_ERROR:

demo: $(RUNTIME)
	$(VENV)/bin/qdescent run

test: $(DEV)
	$(VENV)/bin/lint-imports
	$(PYTEST) src tests

test-all: $(DEV)
	$(VENV)/bin/lint-imports
	$(PYTEST) -m "slow or not slow" src tests

SECONDS ?= 600
fuzz: $(DEV)
	@$(PIP) install --quiet --no-compile $(if $(CONS),-c $(CONS)) -e '.[dev,fuzz]' || echo "atheris does not install here: blindly, then"
	OMP_NUM_THREADS=1 $(VENV)/bin/python tools/fuzz --seconds $(SECONDS)

check: $(DEV)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(MAKE) test

docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "The site is in site/: $(VENV)/bin/python -m http.server -d site"

both: $(BOTH)   # what make docs and make test need, in one go: the dependencies are looked up once

# Stamps: a second call installs nothing unless pyproject.toml or the constraints are newer. Each
# install contains the runtime one; a .venv that was left half made is made again. --no-compile: to compile the 2 GB of
# dependencies costs more than a minute, and Python compiles the part that is used when it is used.
$(DEV) $(DOCS) $(BOTH) $(RUNTIME): pyproject.toml $(CONS)
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "qdescent needs Python 3.11 or later with venv, and '$(PYTHON)' is not: name one, as in make demo PYTHON=python3.12" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV): one to three minutes, once."
	$(PIP) install --quiet --no-compile $(if $(CONS),-c $(CONS)) -e '.$(EXTRA_$(notdir $@))'
	@touch $@ $(RUNTIME) $(if $(filter $(BOTH),$@),$(DEV) $(DOCS))

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .gallery dist site
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
