# Every target makes its own virtual environment first, so each works as the first command
# on a machine that has Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo test test-all check format serve bench clean
.DEFAULT_GOAL := demo

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Evenscan needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[training,service,dev]"
	touch $@

demo: $(INSTALLED)  ## the main job end to end on a generated cohort, under 4 minutes on two cores
	$(BIN)/evenscan demo --out demo

# One thread a process: two processes with two threads each slow each other down on two cores.
# In the order of the files: else those with few and long tests come last, and one core has none.
test: $(INSTALLED)  ## the tests, without those marked slow
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(INSTALLED)  ## every test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow or not slow"

check: $(INSTALLED)  ## lint, format, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(INSTALLED)  ## API and worker on http://127.0.0.1:8000
	$(BIN)/evenscan serve

bench: $(INSTALLED)  ## speed against fairlearn, a plain loop and ONNX Runtime alone
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis demo runs .evenscan
