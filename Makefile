# make run     run the service on http://localhost:9091 (the first run installs it, 1 to 2 minutes)
# make test    run the test suite
# make test-quick    run the tests that start no process and take no seconds
# make lint    run ruff and pyright
# make bench   list the benchmarks
#
# PYTHON=python3.12            use another interpreter (3.11 or newer)
# TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu    torch without CUDA, far smaller on Linux

PYTHON ?= python3
TORCH_INDEX_URL ?=
PYTEST_ARGS ?=

# 1.5 test processes per core, because most tests wait half of the time.
TEST_PROCESSES ?= $(shell echo $$((($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2)))

# The tests of `make test` that start no process and take no seconds.
QUICK := not process and not slow and not vllm and not gpu and not clients and not containers and not ray and not fake_cuda

TORCH := torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
BENCHMARKS := $(patsubst bench/%.py,bench-%,$(wildcard bench/*.py)) \
	$(patsubst bench/%/__main__.py,bench-%,$(wildcard bench/*/__main__.py))

.PHONY: setup setup-test setup-judge setup-browser setup-operations run test test-quick test-slow test-vllm test-clients test-containers test-fake-cuda test-ray lint format bench \
	$(BENCHMARKS)

setup: $(VENV)/.setup

setup-test: $(VENV)/.setup-test

setup-judge: $(VENV)/.setup-judge

# The page is tested only with Chromium, which is installed here as root on Debian (about 20 s).
setup-browser: $(VENV)/.setup-browser
	@command -v chromium || command -v google-chrome \
		|| DEBIAN_FRONTEND=noninteractive timeout 120 \
			sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends chromium >/dev/null' \
		|| echo "cannot install Chromium: the page is not tested in a browser"

# The programs whose configurations are in deploy/ (about 20 s).
setup-operations:
	@{ PATH=$$PATH:/usr/sbin; command -v haproxy && command -v nginx && command -v prometheus; } \
		|| DEBIAN_FRONTEND=noninteractive timeout 120 \
			sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends haproxy nginx prometheus >/dev/null' \
		|| echo "cannot install HAProxy, nginx and Prometheus: their configurations are not tested"

run: setup
	$(BIN)/python -m app

test: setup-test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

# The inner loop, about a minute and a half on two cores.
test-quick: setup-test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "$(QUICK)" $(PYTEST_ARGS)

# pytest exits with 5 if no test has the marker, which is not a failure.
test-slow: setup-test setup-judge setup-browser setup-operations
	$(BIN)/python -m pytest -m slow --timeout 900 -n 2 --dist loadfile $(PYTEST_ARGS) || test $$? -eq 5

test-vllm: setup-test setup-judge
	$(BIN)/python -m pytest -m vllm --timeout 900 -rs $(PYTEST_ARGS) || test $$? -eq 5

# Needs root, to mount overlays in a namespace. Takes two to four minutes, mostly for torch.
test-containers: setup-test
	$(BIN)/python -m pytest -m containers --timeout 900 -rs $(PYTEST_ARGS) || test $$? -eq 5

# torch's CUDA wheel (0.6 GB) under a fake driver, which g++ compiles. Takes two to four minutes.
test-fake-cuda: setup-test
	$(BIN)/python -m pytest -m fake_cuda --timeout 400 -n 2 -rs $(PYTEST_ARGS) || test $$? -eq 5

test-ray: setup-test
	$(BIN)/python -m pytest -m ray --timeout 900 -rs $(PYTEST_ARGS) || test $$? -eq 5

test-clients: setup-test
	$(BIN)/python -m pytest -m clients -rs $(PYTEST_ARGS) || test $$? -eq 5

lint: setup-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

format: setup-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench:
	@echo "make NAME [ARGS='...'], where NAME is one of:"
	@printf '  %s\n' $(BENCHMARKS)

$(BENCHMARKS): bench-%: setup-test setup-judge
	$(BIN)/python -m bench.$* $(ARGS)

# Stamp files: a stamp newer than pyproject.toml means that nothing must be installed.
$(VENV)/.setup: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; use make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo "this Python has no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) $(TORCH)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.setup-test: $(VENV)/.setup
	$(PIP) install --quiet --editable '.[test]'
	@touch $@

$(VENV)/.setup-judge: $(VENV)/.setup
	$(PIP) install --quiet --editable '.[judge]'
	@touch $@

$(VENV)/.setup-browser: $(VENV)/.setup-test
	$(PIP) install --quiet --editable '.[browser]'
	@touch $@
