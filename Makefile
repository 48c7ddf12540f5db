# Everything here works from a fresh clone: what a target needs is installed first, into .venv.
PYTHON ?= python3
BIN := .venv/bin
DEMO = ../cockpit-demo

.PHONY: install model demo test lint types tests test-model bench-judging bench-growing bench-screen screenshots wheel clean

install: .venv/installed  ## what a developer needs, into .venv

.venv/installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint .ci/constraints.txt --editable '.[train,embedded]' --group dev
	touch $@

model: install  ## bring the small model into your cache, unless it is there
	$(BIN)/python -m loop.propose.weights

demo: install  ## see it at work: a study beside this folder, with a model if one can be had
	$(BIN)/python -m loop.propose.which
	$(BIN)/cockpit demo "$(DEMO)"

test: lint types tests  ## all that CI checks but the wheel

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

tests: install
	$(BIN)/python -m pytest -n 3 --dist worksteal --tb native

bench-judging: install  ## how often the judge is wrong: simulated studies, an hour or two of all cores
	$(BIN)/python -m tests.bench.judging

test-model: model  ## a study in which the small model proposes
	$(BIN)/python -m pytest -m model

bench-growing: install  ## what one experiment more takes in a study of a hundred, and of ten thousand: minutes
	$(BIN)/python -m tests.bench.growing

screenshots: model  ## draw the pictures of docs/pictures anew, from a study that is made for them: ten minutes
	.ci/screenshots

bench-screen: install  ## how fast and how quiet the screen is on a real terminal, beside its goals: four minutes
	$(BIN)/python -m tests.bench.screen

wheel: install  ## build the wheel, install it in a clean environment and use it there
	.ci/wheel

clean:
	rm -rf .venv .build
