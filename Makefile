# Set-up is a stamp on the pinned requirements: nothing is fetched twice.
PY ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: setup demo test lint bench soak spec clean
setup: .venv/.stamp

.venv/.stamp: deploy/requirements/dev.txt pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Valise needs Python 3.11 or newer; set PY=python3.11" >&2; exit 69; }
	@test -x $(BIN)/python || $(PY) -m venv .venv
	@$(BIN)/python -m pip install -q --require-hashes -r deploy/requirements/dev.txt >&2
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e . >&2
	@touch $@
