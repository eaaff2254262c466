# make run     the service on http://localhost:9091 (the first time it installs, which takes a minute or two)
# make test    the test suite;  make lint: ruff and pyright;  make bench: what can be measured
#
# PYTHON=python3.12            another interpreter (3.11 or newer)
# TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu    torch without CUDA, far smaller on Linux

PYTHON ?= python3
TORCH_INDEX_URL ?=
PYTEST_ARGS ?=

# Half as many test processes again as cores: most tests wait for something half of the time.
TEST_PROCESSES ?= $(shell echo $$((($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2)))

TORCH := torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
BENCHMARKS := $(patsubst bench/%.py,bench-%,$(wildcard bench/*.py))

.PHONY: setup setup-test setup-judge setup-browser setup-operations run test test-slow test-vllm test-clients test-containers test-ray lint format bench \
	$(BENCHMARKS)

setup: $(VENV)/.setup

setup-test: $(VENV)/.setup-test

setup-judge: $(VENV)/.setup-judge

# Without a Chromium the page is not tested; as root on Debian one is installed, which takes about 20 s.
setup-browser: $(VENV)/.setup-browser
	@command -v chromium || command -v google-chrome \
		|| DEBIAN_FRONTEND=noninteractive timeout 120 \
			sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends chromium >/dev/null' \
		|| echo "no Chromium, and no right to install one: the page is not tested in a browser"

# The same for what the configurations in deploy/ are for: about 20 s.
setup-operations:
	@{ PATH=$$PATH:/usr/sbin; command -v haproxy && command -v nginx && command -v prometheus; } \
		|| DEBIAN_FRONTEND=noninteractive timeout 120 \
			sh -c 'apt-get -qq update && apt-get -qq install --no-install-recommends haproxy nginx prometheus >/dev/null' \
		|| echo "no HAProxy, nginx or Prometheus, and no right to install one: their configurations are not tested"

run: setup
	$(BIN)/python -m app

test: setup-test
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile $(PYTEST_ARGS)

# pytest ends with 5 where nothing carries the marker, which is no failure.
test-slow: setup-test setup-judge setup-browser setup-operations
	$(BIN)/python -m pytest -m slow --timeout 900 -n 2 --dist loadfile $(PYTEST_ARGS) || test $$? -eq 5

test-vllm: setup-test setup-judge
	$(BIN)/python -m pytest -m vllm --timeout 900 -rs $(PYTEST_ARGS) || test $$? -eq 5

# As root: it makes overlays in a mount namespace. Two to four minutes, most of them for torch.
test-containers: setup-test
	$(BIN)/python -m pytest -m containers --timeout 900 -rs $(PYTEST_ARGS) || test $$? -eq 5

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

# Each stamp is newer than pyproject.toml where nothing has to be done.
$(VENV)/.setup: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' \
		|| { echo "this Python cannot make virtual environments; on Debian: apt-get install python3-venv"; exit 1; }
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
