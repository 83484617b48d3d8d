# Each target makes .venv where it is missing and does its job on a fresh Debian 12 with Python 3.11 and make.
# PYTHON names the interpreter that .venv is made with. UP, PYTEST and ONLY pass arguments on: make up UP=--http-port=9000
PYTHON ?= python3
BIN := .venv/bin
export PYTHON

.PHONY: install dev up test test-fast faults lint proto pins bench peers

install:
	@deploy/ci/venv

dev:
	@deploy/ci/venv dev

peers:
	@tests/peers.sh

up: install
	@exec $(BIN)/nephoscope up $(UP)

test: peers
	@$(MAKE) --no-print-directory dev
	$(BIN)/pytest $(PYTEST)

test-fast: dev
	$(BIN)/pytest tests/unit $(PYTEST)

faults: peers
	@$(MAKE) --no-print-directory dev
	NEPHOSCOPE_FAULT_SECONDS=300 NEPHOSCOPE_FAULT_RESTARTS=10 NEPHOSCOPE_FAULT_HISTORIES=1000 NEPHOSCOPE_FAULT_ROUNDS=10 \
	  NEPHOSCOPE_FAULT_DROPS=40 NEPHOSCOPE_FAULT_RECALLS=30 NEPHOSCOPE_FAULT_EVENT_KILLS=32 NEPHOSCOPE_FAULT_SLOW=5 \
	  $(BIN)/pytest tests/faults $(PYTEST)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check

proto: dev
	$(BIN)/python proto/generate.py

pins: dev
	@deploy/ci/pins

bench: dev
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))
