# make test    everything: lint excepted, all tests, then the load script at a small size
# make check   before each commit: lint and the fast tests
# make setup-dev   once in a clone: the environment for tests and linters, and the hook that judges commit messages
# Other targets: lint fmt docs lock molecule load real clean. Everything installs into .smos/, and apt only for what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := check
.DELETE_ON_ERROR:

STATE := $(if $(SMOS_STATE_DIR),$(abspath $(SMOS_STATE_DIR)),$(CURDIR)/.smos)
DEV := $(STATE)/dev
PYTHON := "$(DEV)/bin/python"
export PATH := $(DEV)/bin:$(PATH)
# Tests and linters see this checkout, whatever the caller's shell has set.
export SMOS_LANG := en
unexport SMOS_ENV SMOS_SPECS_REPO SMOS_PROJECT_DIR ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH
UV_VERSION := 0.13.9
PYTEST_WORKERS ?= 2
PYTEST_ARGS ?=
# Fast ones first, and last those that spread best over the processes. One run, so that its closing line counts them all.
TIERS := tests/unit tests/contract tests/real tests/e2e tests/chaos

.PHONY: test check lint fmt docs lock molecule load real dev setup-dev system clean

test: dev system
	$(PYTHON) -m pytest -n $(PYTEST_WORKERS) --no-loadscope-reorder $(wildcard $(TIERS)) $(PYTEST_ARGS)
	$(MAKE) --no-print-directory molecule load

check: lint
	$(PYTHON) -m pytest -n $(PYTEST_WORKERS) -m "not slow and not second_tier" tests/unit $(wildcard tests/contract)

lint: dev
	$(PYTHON) tests/tools/hygiene.py
	shellcheck smos .ci/run .githooks/* tests/tools/*.sh
	ruff check .
	ruff format --check .
	mypy src tests collections/ansible_collections/smartercl/smarteros/plugins
	yamllint --strict .
	ansible-lint
	antsibull-changelog lint
	antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
	$(PYTHON) tests/tools/reference.py --check
	$(PYTHON) tests/tools/decisions.py --check
	$(PYTHON) tests/tools/messages.py --check
	$(PYTHON) tests/tools/sanity.py

# docs/reference.md from the documentation in the code, docs/decisions.md from specs/decision-tree.yml, and CHANGELOG.md from
# changelogs/; the catalogues of src/smos/locale from the texts in the source. A release is not made by that: its fragments stay (CONTRIBUTING.md says how one is made).
docs: dev
	$(PYTHON) tests/tools/reference.py
	$(PYTHON) tests/tools/decisions.py
	$(PYTHON) tests/tools/messages.py
	tests/tools/changelog.sh

fmt: dev
	ruff check --fix .
	ruff format .

# One scenario after the other, on the sandbox and its VPS; each says in its verify.yml what a user would see.
molecule: dev system
	rm -rf .smos/molecule/specs && mkdir -p .smos/molecule && cp -r specs .smos/molecule/specs
	rm -f .smos/molecule/specs/tenants/registry/*.yml
	tests/tools/engine.sh run tests/tools/scenarios.sh

# Small enough for every run; for figures worth quoting run the scripts in tests/load by themselves.
load: dev system
	[ ! -e tests/load/tenants.py ] || $(PYTHON) tests/load/tenants.py --smoke
	$(PYTHON) tests/load/backup.py --smoke
	$(PYTHON) tests/load/plan.py --smoke
	$(PYTHON) tests/load/daily.py --smoke
	$(PYTHON) tests/load/health.py --smoke

# The tests against real servers alone, both tiers.
real: dev system
	SECOND_TIER=1 $(PYTHON) -m pytest tests/real

# The launcher finds the Python and makes its own environment; this makes the one for tests and linters beside it.
dev:
	@./smos --version >/dev/null
	@"$(STATE)/venv/bin/python" -I src/smos/bootstrap.py "$(CURDIR)" "$(STATE)" "" dev requirements-dev.lock

# Once in a clone.
setup-dev: dev
	git config core.hooksPath .githooks
	@echo "commit messages are judged by .githooks/commit-msg from now on"

system:
	@tests/tools/system_packages.sh

# Newest versions that requirements*.in allow, for every Python from 3.11 on, with hashes.
UV_COMPILE = "$(STATE)/uv/bin/uv" pip compile --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --custom-compile-command "make lock" --quiet
lock:
	./smos --version >/dev/null
	"$(STATE)/venv/bin/python" -m venv "$(STATE)/uv"
	"$(STATE)/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV_COMPILE) -o requirements.lock requirements.in
	$(UV_COMPILE) -c requirements.lock -o requirements-dev.lock requirements-dev.in
	$(UV_COMPILE) --no-deps -o tests/tools/control.lock tests/tools/control.in

# Runs, sandbox data and the command's own environment stay; remove .smos by hand for those.
clean:
	rm -rf "$(DEV)" "$(STATE)"/venvs/dev-* "$(STATE)/uv" build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible
	find . -name __pycache__ -not -path './.git/*' -not -path './.smos/*' -prune -exec rm -rf {} +
