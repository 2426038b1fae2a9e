# The only entry to commands. Everything is installed into this folder; nothing else is touched.

PYTHON ?= python3
VENV   := .venv
UV     := $(shell command -v uv || echo .cache/uv/bin/uv)
RUN    := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder
ARGS   ?=
PRODUCTION := .cache/production
AUDIT  := $(VENV)/bin/pip-audit --strict --disable-pip --progress-spinner off
KNOWN_TO_BE_VULNERABLE := jinja2==2.10

COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-annotate --no-emit-index-url --custom-compile-command "make lock" $(ARGS)

export DO_NOT_TRACK = 1
export PRE_COMMIT_HOME = .cache/pre-commit
export SANDBOX_CACHE = $(CURDIR)/.cache/fetched
# Or every program would compile all that it imports, each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test-fast test test-system test-all lint format lock bench deploy pages doctor docs pictures sbom audit check-sandbox check-package check-real prove clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.installed ## Install everything from the locks into .venv

$(VENV)/.installed: requirements.lock requirements-dev.lock pyproject.toml $(wildcard packages/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=...")'
	@test -x "$(UV)" || { echo "Installing uv into .cache/uv ..."; \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .cache/uv uv; }
	@echo "Installing the locked packages into $(VENV) (a minute the first time) ..."
	@test -x $(RUN) || $(UV) venv --quiet --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
	@$(UV) pip sync --quiet --compile-bytecode --python $(RUN) --require-hashes \
		requirements.lock requirements-dev.lock
	@$(UV) pip install --quiet --python $(RUN) --no-deps --no-build-isolation \
		--editable packages/sandbox --editable packages/warm_worker
	@touch $@

demo: install ## The whole story on this machine; ARGS=--exit ends by itself
	@$(RUN) -m deployments.local.demo $(ARGS)

test-fast: install ## Run the tests of the inner loop: below a minute
	@$(PYTEST) -m fast $(ARGS)

test: install ## Run what a change must not break; ARGS="-k send" runs some
	@echo "Running the tests (a few minutes) ..."
	@$(PYTEST) -m "fast or standard" $(ARGS)

test-system: install ## Run the tests of the whole: stack, worker, demo, browser, a sample of the faults
	@echo "Running the tests of the whole (a few minutes) ..."
	@$(PYTEST) -m system $(ARGS)

test-all: install ## Run every test, those that take long too
	@echo "Running all tests (an hour or so); what is skipped for want of a program is named at the end ..."
	@$(PYTEST) -rs $(ARGS)

lint: install ## Check style, imports, dependencies and types
	$(VENV)/bin/pre-commit run --all-files
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/deptry flows tasks invoicing deployments
	$(VENV)/bin/deptry . --ignore DEP002,DEP004 --extend-exclude packages
	cd packages/sandbox && ../../$(VENV)/bin/deptry src
	cd packages/sandbox && ../../$(VENV)/bin/deptry . --ignore DEP004
	cd packages/warm_worker && ../../$(VENV)/bin/deptry src
	$(VENV)/bin/mypy

format: install ## Put the code in shape
	$(VENV)/bin/ruff check --fix --quiet
	$(VENV)/bin/ruff format

check-sandbox: install ## Hold the sandbox to what others wrote for Stripe and Salesforce
	@$(RUN) -m sandbox.evidence

check-package: install ## Hold the Salesforce package to the Metadata API, and its parts to each other
	@$(RUN) -m sandbox.package_check deployments/salesforce

check-real: install ## Hold beliefs and flows to real accounts for trying out; ARGS=experiments
	@$(RUN) -m tests.real $(ARGS)

prove: install ## Try every fault; ARGS="--schedules N --seed S"
	@$(RUN) -m tests.faults $(ARGS)

bench: install ## Measure; ARGS=latency names the benchmark
	@$(RUN) -m benchmarks $(ARGS)

lock: ## Write both locks from what is declared; ARGS=--upgrade takes newer versions
	$(COMPILE) pyproject.toml packages/warm_worker/pyproject.toml --output-file requirements.lock
	$(COMPILE) packages/sandbox/pyproject.toml --extra evidence --extra package --group dev \
		--group packages/sandbox/pyproject.toml:test --constraints requirements.lock --output-file requirements-dev.lock

sbom: install ## Write what production installs (CycloneDX), and hold its licences to those allowed
	@$(UV) venv --quiet --clear --python $(RUN) $(PRODUCTION)
	@$(UV) pip sync --quiet --python $(PRODUCTION)/bin/python --require-hashes requirements.lock
	@$(VENV)/bin/cyclonedx-py environment $(PRODUCTION) --pyproject pyproject.toml --no-validate \
		--output-reproducible --output-file .cache/sbom.cdx.json
	@$(VENV)/bin/pip-licenses --python $(PRODUCTION)/bin/python --from mixed >/dev/null
	@echo "The SBOM is .cache/sbom.cdx.json; all licences in it are allowed."

audit: install ## Ask PyPI for known vulnerabilities of what production installs; fails where it cannot tell
	@mkdir -p .cache && echo "$(KNOWN_TO_BE_VULNERABLE)" >.cache/vulnerable.txt
	@if $(AUDIT) --no-deps --requirement .cache/vulnerable.txt >/dev/null 2>&1; then \
		echo "What answers as PyPI knows of nothing, not even of $(KNOWN_TO_BE_VULNERABLE)."; exit 1; fi
	@$(AUDIT) --require-hashes --requirement requirements.lock

deploy: install ## Migrate the ledger; tell the Prefect server of the settings what to run
	@$(RUN) -m deployments

pages: install ## Show what the org's pages lack of Raise Invoice; ARGS=--deploy puts it there
	@$(RUN) -m deployments.org_pages $(ARGS)

doctor: install ## Look at everything that an installation needs; ARGS=--fix makes what can be made
	@$(RUN) -m deployments.doctor $(ARGS)

docs: install ## Write the pages made from the code, build the site; ARGS=zensical with the other builder
	@$(RUN) -m deployments.settings_docs
	@$(RUN) -m deployments.reference_docs
	@$(RUN) -m deployments.site $(ARGS)

pictures: install ## Take all pictures of the documentation anew
	@PICTURES=docs/images $(PYTEST) tests/journeys/test_forms.py tests/journeys/test_browser_*.py $(ARGS)

clean: ## Remove what was installed and what was run
	rm -rf $(VENV) .cache .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
