# Every target does its own set-up; logic lives in setup.sh and in the packages.
VENV := .venv
PY := $(VENV)/bin/python

help:  ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## virtual environment, pinned packages, missing apt packages

$(VENV)/.ready: pyproject.toml constraints.txt setup.sh
	@./setup.sh

hil: setup  ## the main job: ResNet-18 activations through the codec on a virtual board
	$(VENV)/bin/fmzip hil

test: setup  ## all tests
	$(PY) -m pytest -n 2 --dist loadgroup -q

sim: setup  ## cocotb benches on the emitted Verilog (WAVES=1 keeps waves)
	$(PY) -m pytest -q tests/test_sim.py

check: setup  ## ruff, mypy, import floors
	$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

bench: setup  ## speed of the reference beside zstd, speed of the virtual board
	$(PY) bench/reference.py && $(PY) bench/vboard.py

area: setup  ## LUT, FF, DSP, EBR and Fmax of encoder and decoder, out of context on ECP5
	$(VENV)/bin/fmzip area

docs: setup  ## regenerate the generated parts of docs/ and README
	$(VENV)/bin/fmzip docs

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup hil test sim check bench area docs clean
