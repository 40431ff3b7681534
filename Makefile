# The two commands of a newcomer are `make demo` and `make test`; each sets up what it needs.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
CREATE = $(UV) venv --quiet --allow-existing --python '>=3.11' $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
else
CREATE = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-model test-faults test-simulation bench-metrics bench-training check clean

help:
	@echo "make demo            fine-tune a real language model and write a report (about 5 minutes)"
	@echo "make test            run the test suite"
	@echo "make test-model      run the tests that need the 92 MB checkpoint, against transformers"
	@echo "make test-faults     run the tests that kill processes at random moments, again and again"
	@echo "make test-simulation run the tests of how often intervals hold the truth, over many samples"
	@echo "make bench-metrics   time the metrics beside scikit-learn, torchmetrics and metrax"
	@echo "make bench-training  time fine-tuning and generation beside TRL, PEFT and transformers"
	@echo "make check           formatting, lint and types"
	@echo "make clean           remove the environment and the results"

$(BIN)/python:
	@echo "Making the environment $(VENV) ..."
	@$(CREATE)

# One stamp for each set of extras, renewed when the requirements change.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing modelops_jax[$*] ..."
	@$(INSTALL) -e '.[$*]'
	@touch $@

demo: $(VENV)/.installed-demo
	@$(BIN)/python -m modelops_jax.models smollm2-135m-instruct
	@$(BIN)/python training/lora_spam.py

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist loadfile

test-model: $(VENV)/.installed-oracle
	@$(BIN)/python -m modelops_jax.models smollm2-135m-instruct
	@$(BIN)/python -m pytest -q -m model

test-faults: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q -m faults

test-simulation: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -q -m simulation

bench-metrics: $(VENV)/.installed-bench
	@$(BIN)/python benchmarks/metrics.py

bench-training: $(VENV)/.installed-bench
	@$(BIN)/python -m modelops_jax.models smollm2-135m-instruct
	@$(BIN)/python benchmarks/training.py
	@$(BIN)/python benchmarks/generation.py
	@$(BIN)/python benchmarks/training_data.py

check: $(VENV)/.installed-check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright

clean:
	rm -rf $(VENV) runs
