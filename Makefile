# Needs git, make and Python 3.11, 3.12 or 3.13; everything else is fetched into .venv (and .uv) by the first target that needs it.
#
#   make run SCENARIO=fog DATASET=mnist RUNTIME=process STATE=/tmp/state REPORT=report.json
#   make test ARGS='tests/agents -k planner'

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# Compiled files are kept, whatever the shell says: without them every process compiles all that it imports anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
READY := .venv/.ready
ROOMS := agents workflows models scenarios
LABEL := scanflow.project=scanflow-agents
# Labels name the project, not the checkout: a container that runs, or is being made, may be that of a cluster at work.
ENDED := --filter status=exited --filter status=dead

.PHONY: help run test test-fast lint bench bench-science screenshots mlflow clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: $(READY) ## start the system, replay a scenario, ask the person here, print the story (SCENARIO, DATASET, RUNTIME, STATE, REPORT)
	@$(PYTHON) -m agents.cluster --once --scenario '$(or $(SCENARIO),default)' $(if $(DATASET),--dataset '$(DATASET)') $(if $(RUNTIME),--runtime '$(RUNTIME)') \
	  $(if $(STATE),--state '$(STATE)') $(if $(REPORT),--report '$(REPORT)')

test: $(READY) ## run all tests, the fast ones first (ARGS are handed to pytest)
	@$(PYTHON) -m pytest $(ARGS)

test-fast: $(READY) ## run the tests without Docker, Ray, PostgreSQL, a browser or training, on two cores: a minute (ARGS are handed to pytest)
	@$(PYTHON) -m pytest -n 2 --dist loadfile -m 'not (docker or ray or training or slow or browser or postgres)' $(ARGS)

lint: $(READY) ## ruff, mypy --strict, and the direction of imports
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: $(READY) ## measure what the project promises; prints a table, writes JSON (ARGS are handed on)
	@for program in benchmarks/[a-z]*.py; do $(PYTHON) -m "benchmarks.$$(basename "$$program" .py)" $(ARGS); done

bench-science: $(READY) ## measure the loop, each remedy and each control on whole families of corruptions: hours; ARGS=--quick for minutes
	@$(PYTHON) -m benchmarks.science $(ARGS)

screenshots: $(READY) ## draw the web page's views into docs/images (needs Chromium and its driver)
	@$(PYTHON) -m tests.web.screenshots docs/images

mlflow: $(READY) ## open MLflow's page on what was recorded in the state folder (STATE, PORT), until Ctrl-C
	@folder='$(or $(STATE),$(SCANFLOW_STATE),scanflow-state)'; test -f "$$folder/mlflow.db" || { echo "Nothing is recorded in $$folder yet. Name its folder: make mlflow STATE=..." >&2; exit 1; }; \
	  MLFLOW_DISABLE_TELEMETRY=true $(PYTHON) -m mlflow ui --host 127.0.0.1 --port $(or $(PORT),5000) --workers 1 --backend-store-uri "sqlite:///$$(realpath "$$folder")/mlflow.db"

clean: ## remove what make made: environments, caches, containers that have ended (running ones stay, and so does what a run saved)
	@rm -rf .venv .uv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find $(ROOMS) tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	@if docker info >/dev/null 2>&1; then docker ps -aq --filter label=$(LABEL) $(ENDED) | xargs -r docker rm -v >/dev/null; fi

# The environment is what uv.lock says, no more and no less. A second call costs nothing until one of these files changes.
$(READY): pyproject.toml uv.lock .ci/environment
	@.ci/environment
	@touch $@
