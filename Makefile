# Two commands matter: `make lab` to learn, `make test` to know that it works.
# They need a Python (3.11 or newer) and nothing else; everything goes into .venv*.

# The first that is new enough and can make virtual environments.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& command -v $$p && break; done)

NOTEBOOK = notebooks/00_before_you_start.ipynb
BIN = .venv/bin
# Two test processes beside each other: most tests wait more than they compute.
BESIDE = -n 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help lab test prepare lint environments environment installed collected compiled test-main \
	test-browser test-notebooks test-other-pythons test-oldest fast conformance-ray scorecard pictures \
	repeat bench clean

help:
	@echo "make lab             open the tour in JupyterLab"
	@echo "make lab HEADLESS=1  run the first notebook without a browser"
	@echo "make test            every check and every test, on every Python found"
	@echo "make conformance-ray run the conformance tests on Ray itself"
	@echo "make scorecard       faults, memory and security: each experiment, in full size"
	@echo "make repeat          the process and fault tests, until all have passed TIMES=20 in a row"
	@echo "make pictures        draw the pictures of README.md anew, from runs on this machine"
	@echo "make bench           measure paralab against its peers"
	@echo "make clean           remove environments, caches and output"

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer that can make virtual environments" \
		"was found. On Debian and Ubuntu: apt-get install python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv

# One stamp per set of packages; the install is editable, so only pyproject.toml makes it old.
.venv/%.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q -e '.[$*]'
	@touch $@

ifdef HEADLESS
lab: .venv/lab.stamp
	@mkdir -p build
	$(BIN)/jupyter nbconvert --to notebook --execute $(NOTEBOOK) --output-dir build
	$(BIN)/jupyter nbconvert --to html build/$(notdir $(NOTEBOOK))
	@echo "The notebook ran from top to bottom. With its output it is here:"
	@echo "  $(CURDIR)/build/$(notdir $(NOTEBOOK))"
	@echo "  $(CURDIR)/build/$(notdir $(NOTEBOOK:.ipynb=.html))"
else
lab: .venv/lab.stamp
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(NOTEBOOK)
endif

test: prepare test-main test-browser test-notebooks test-other-pythons test-oldest
	@echo "All tests passed."

# Installing waits for the network, and mypy uses one core: what else has to be there comes beside.
prepare:
	@$(MAKE) --no-print-directory -j 2 environments lint collected

environments: .venv/bin/python
	@$(MAKE) --no-print-directory test-other-pythons test-oldest GOAL=environment

# What pytest makes of the tests' own modules is kept by collecting them once; whatever fails in
# that will fail again, and say so, in the tests.
collected: .venv/test.stamp
	@$(MAKE) --no-print-directory compiled ENV=.venv
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -q --collect-only tests >/dev/null 2>&1 || true

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-main: .venv/test.stamp
	$(BIN)/pytest $(BESIDE) --durations=25 --ignore=tests/browser

# By themselves: a browser and a JupyterLab are load enough for two cores.
test-browser: .venv/test.stamp
	$(BIN)/pytest tests/browser

test-notebooks: .venv/test.stamp
	$(BIN)/pytest -p no:leak_check -W default --timeout 300 --nbval $(BESIDE) --dist loadscope \
		--nbval-sanitize-with notebooks/sanitize.cfg --nbval-cell-timeout 60 notebooks exercises

test-other-pythons: .venv/bin/python
	@for found in $$($(BIN)/python .ci/pythons.py); do \
		$(MAKE) --no-print-directory $(GOAL) ENV=.venv-$${found%%=*} WITH=$${found#*=} || exit 1; \
	done

# The lower bounds are those of the oldest Python; newer Pythons need newer packages.
test-oldest: .venv/bin/python
	@mkdir -p build && $(BIN)/python .ci/oldest.py > build/oldest.txt
	@for found in 3.11=$(BIN)/python $$($(BIN)/python .ci/pythons.py); do \
		$${found#*=} -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || continue; \
		$(MAKE) --no-print-directory $(GOAL) ENV=.venv-oldest WITH=$${found#*=} \
			CONSTRAINTS='-c build/oldest.txt' EXTRAS=test-fast,test-magics || exit 1; \
		break; \
	done

# The fast tests with the Python WITH in the environment ENV.
GOAL = fast
fast: installed
	@echo "Fast tests in $(ENV)"
	$(ENV)/bin/pytest -q $(BESIDE) --every-python

environment: installed
	@$(MAKE) --no-print-directory compiled

EXTRAS = test-fast
installed:
	@test -x $(ENV)/bin/python || $(WITH) -m venv $(ENV)
	@test $(ENV)/stamp -nt pyproject.toml || { \
		$(ENV)/bin/python -m pip install -q $(CONSTRAINTS) -e '.[$(EXTRAS)]' && touch $(ENV)/stamp; }

# Tests start thousands of processes, and each would compile all of paralab where nobody keeps the
# result: with PYTHONDONTWRITEBYTECODE set, as many images have it.
compiled:
	@$(ENV)/bin/python -m compileall -q runtime profiling tests

# The conformance tests on Ray itself: is what they expect what Ray does?
# `make conformance-ray ONLY=test_tasks.py` runs one file.
conformance-ray: .venv-ray/stamp
	.venv-ray/bin/python .ci/conformance_ray.py $(ONLY)

.venv-ray/stamp: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found."; exit 1; }
	@test -x .venv-ray/bin/python || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install -q 'ray==2.60.*' -e '.[test-fast]'
	@touch $@

# Every experiment of the scorecard in full size, as a table: in build/, and in short in README.md.
scorecard: .venv/test.stamp
	@mkdir -p build && rm -f build/scorecard.jsonl
	-PARALAB_SCORECARD=full PARALAB_SCORECARD_FILE=$(CURDIR)/build/scorecard.jsonl \
		$(BIN)/pytest tests/scorecard --timeout 900 -q
	$(BIN)/python tests/scorecard_table.py build/scorecard.jsonl build/scorecard.json README.md \
		> build/scorecard.txt; status=$$?; cat build/scorecard.txt; exit $$status

# The process and fault tests in slices, again and again; it goes on where build/repeat.jsonl ends.
TIMES = 20
HOURS = 1000
repeat: .venv/test.stamp
	$(BIN)/python tests/repeat.py --times $(TIMES) --hours $(HOURS)

# The pictures of README.md, drawn anew from runs on this machine.
pictures: .venv/test.stamp
	PARALAB_PICTURES=$(CURDIR)/docs $(BIN)/pytest -q tests/profiling/test_readme_pictures.py \
		tests/browser/test_readme_picture.py

bench: .venv/test.stamp
	$(BIN)/paralab microbenchmark

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
