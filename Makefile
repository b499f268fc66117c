# make demo   the whole way on the embedded data: train, convert, simulate on every target, energy of a sample
# make test   all tests; uses the Lava environment when it is there
# make lava   the Python 3.10 environment of Intel's Lava (optional; about 6 GB)
# make lint   ruff: rules and format
# make clean  deletes both environments, and with them all of runs/ and out/
# Each creates what it needs. PYTHON=... chooses an interpreter (3.11 or newer); without it one is looked for.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit; \
	done; echo python3)
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lava lint clean

$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Basalt needs Python 3.11 or newer; set PYTHON=..." >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt requirements-dev-alone.txt requirements-cluster.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dev-alone.txt
	@touch $@

demo: $(VENV)/.runtime
	sh scripts/demo.sh $(RUN)

test: $(VENV)/.dev
	$(RUN) -m pytest

lava:
	$(PYTHON) scripts/lava_env.py

lint: $(VENV)/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:
	rm -rf $(VENV) .venv-lava runs out
