# Set-up is a stamp on the pinned requirements: nothing is fetched twice.
PY ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: setup demo demo-kafka test cover lint bench soak kafka kafka-down vectors pin clean

setup: .venv/.stamp

.venv/.stamp: deploy/requirements/dev.txt pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Valise needs Python 3.11 or newer: make PY=python3.11 $(MAKECMDGOALS)" >&2; exit 69; }
	@echo "Setting up .venv from pinned requirements …" >&2
	@test -x $(BIN)/python || $(PY) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r deploy/requirements/dev.txt >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . >&2
	@touch $@

demo: setup
	@$(BIN)/valise demo $(ARGS)

# Java 17 and Maven are needed: deploy/kafka/README.md.
demo-kafka: setup
	@$(BIN)/valise demo --kafka $(ARGS)

# Unit tests run with sockets cut off; the others talk to the loopback interface only. A whole run covers every branch of what
# everybody has to trust (pyproject.toml says what that is), or fails; with ARGS it is a run of a part, and nothing is measured.
test: setup
	@mkdir -p build && rm -f build/passed
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 2 --dist loadgroup --cov --cov-report=)
	@touch build/passed
	$(if $(ARGS),,@$(BIN)/python -m tests.covered)

# The same by the tests alone in which it is measured (tests/conftest.py).
cover: setup
	@mkdir -p build
	$(BIN)/python -m pytest -q --cov --cov-report= $(addprefix tests/,unit/schemas unit/keys unit/broker/ledger vectors kafka/store) $(ARGS)
	@$(BIN)/python -m tests.covered

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	@mkdir -p build
	$(BIN)/python -m tests.bench.run $(ARGS)

# The faults in full length; each prints what was sent, acknowledged, lost and doubled: make soak | grep FAULT
#   VALISE_KILLS         kills of the embedded broker and of gateways
#   VALISE_EXHAUSTIVE    every place at which a process may die
#   VALISE_KAFKA_KILLS   kills of an instance on Kafka
#   VALISE_KAFKA_EVERY   seconds between two deaths of a Kafka node, and
#   VALISE_KAFKA_LASTS   seconds for which they go on
#   VALISE_KAFKA_AWAY    seconds for which Kafka is away
#   VALISE_KAFKA_SECONDS seconds for which the leading node is stopped
#   VALISE_KAFKA_PAUSED  seconds for which the signer is stopped, and an instance that does not sign
SOAK := VALISE_KILLS=1000 VALISE_EXHAUSTIVE=1 VALISE_KAFKA_KILLS=100 VALISE_KAFKA_EVERY=20 VALISE_KAFKA_LASTS=600 \
  VALISE_KAFKA_AWAY=600 VALISE_KAFKA_SECONDS=30 VALISE_KAFKA_PAUSED=180

soak: setup
	@mkdir -p build
	$(SOAK) $(BIN)/python -m pytest tests/faults tests/kafka --timeout=0 -rP $(ARGS)
	VALISE_DECISIONS=100000 $(BIN)/python -m pytest tests/unit/schemas/rules/test_rules_oracle.py --timeout=0

# Apache Kafka for development: NODES=1 or 3, ARGS="--security tls". It needs no .venv; deploy/kafka/README.md says more.
kafka:
	@$(PY) deploy/kafka/dev.py up $(if $(NODES),--nodes $(NODES)) $(ARGS)

kafka-down:
	@$(PY) deploy/kafka/dev.py down $(ARGS)

vectors: setup
	$(BIN)/python tests/vectors/make.py

# The files carry packages, versions and hashes; where they come from is the machine's own setting.
pin: setup
	cd deploy/requirements && for list in run dev; do \
	  ../../$(BIN)/pip-compile -q --upgrade --generate-hashes --allow-unsafe --no-strip-extras --no-header --no-emit-options \
	    -o $$list.txt $$list.in; \
	done

clean:
	rm -rf build .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
