.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet -c constraints.txt
.PHONY: help run setup test lint bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/run: pyproject.toml constraints.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PIP) 'pip>=25.1'
	$(PIP) -e . --group dev
	@touch $@ $(VENV)/run

run: $(VENV)/run ## watch ELIZA meet PARRY on the embedded model
	@$(VENV)/bin/tertulia models pull smollm2
	@$(VENV)/bin/tertulia run eliza-meets-parry

setup: $(VENV)/dev ## everything that tests, lint and benchmarks need
	@$(VENV)/bin/tertulia models pull smollm2
	@$(VENV)/bin/tertulia models pull wordllama
	@$(PY) -m tests.engine.memory.dictionary

test: setup ## the whole suite, a file at a time on each core
	$(PY) -m pytest -rs --numprocesses auto --dist loadfile

lint: $(VENV)/dev ## ruff, mypy --strict, import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: setup ## the budgets, measured on this machine
	$(PY) -m pytest tests/bench -m bench -s

clean: ## remove what make has made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
