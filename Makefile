# `make demo` and `make test` work on a fresh machine with nothing else typed; everything lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
DEMO := build/demo

.PHONY: demo test lint clean install

demo: install
	rm -rf $(DEMO)
	$(BIN)/duelgym-bench run --env LLMDuel-v0 --title "make demo: LLMDuel-v0" --queries 1600 --seeds 5 \
	  --agents ee2024-passive,ee2024-boltzmann,passive-ensemble,boltzmann-ensemble,ee2024-infomax,ee2024-double_thompson \
	  --out $(DEMO)
	$(BIN)/duelgym-bench report $(DEMO)

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(STAMP)

$(STAMP): constraints.txt pyproject.toml agents/pyproject.toml benchmarks/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[llm,sb3,serving,dev]' -e './agents[llm]' -e './benchmarks[ray,tracking]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
