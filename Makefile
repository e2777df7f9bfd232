# The few commands a person types. Behind them stands the console command `mark1`.
PYTHON ?= python3
VENV   := $(or $(MARK1_VENV),.venv)
READY  := $(VENV)/.mark1-ready
MARK1  := $(VENV)/bin/mark1

.PHONY: help setup run test test-slow test-container lab refresh blog site browser bench lock
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install the locked packages (run, test and lab do this by themselves)
$(READY): build/requirements.txt build/setup.py pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "mark1: there is no $(PYTHON); install Python 3.11, 3.12 or 3.13"; exit 1; }
	@$(PYTHON) build/setup.py

run: setup ## run the chapters, show what they measured; CHAPTERS="01 doctor" or CHAPTERS=--changed runs some
	@$(MARK1) run $(CHAPTERS)

test: setup ## run everything that is checked: nbdev_test, nbval, pytest; CHAPTERS=05 or CHAPTERS=--changed checks some
	@$(MARK1) test $(CHAPTERS)

test-slow: setup ## the checks that take long: every real photograph held out once, 40 rounds of kernels started at once
	@. $(VENV)/bin/activate && pytest -m slow tests

test-container: setup ## `ez env go` for real, to chapter 01 inside a container: 7 minutes, and 15 GB of disk for a while
	@.ci/engine
	@. $(VENV)/bin/activate && pytest -m "slow or not slow" -rs -s tests/test_container.py

lab: setup ## open JupyterLab at the first model
	@$(MARK1) lab

refresh: setup ## run the chapters and write fresh outputs back into nbs/, mark1/ and README.md
	@$(MARK1) refresh $(CHAPTERS)

blog: setup ## serve notes and chapters as a site, with live reload while you write
	@$(VENV)/bin/python blog/build.py --serve

site: setup ## build that site into _site/; BASE=https://… says where it will be shown
	@$(VENV)/bin/python blog/build.py $(if $(BASE),--base "$(BASE)")

browser: ## what the tests of the site look for: Chromium, axe, the HTML checker
	@sh tests/browser.sh

bench: setup ## measure times, each against its peers: running and testing, the site, frozen activations, sounds, traces, ratings; ROUNDS=3
	@$(VENV)/bin/python benchmarks/runner.py --tests --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/blog.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/transfer.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/mouse.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/sound.py --rounds $(or $(ROUNDS),3)
	@$(VENV)/bin/python benchmarks/recommendation.py --rounds $(or $(ROUNDS),3)

lock: ## write build/requirements.txt anew from pyproject.toml
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --extra site --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml -o build/requirements.txt
