# Two commands on a fresh machine: `make demo` and `make test`. Both first make .venv and install the pinned packages.
PYTHON ?= python3
STUDY ?= homework
JOBS ?= 2
BIN := .venv/bin
INSTALLED := .venv/.installed
# JOBS processes of one thread each (on two cores, three were no faster). Each takes whole files, whose tests share what is
# slow to make, in conftest.py's order.
TESTS := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all lint report lab bench lock clean
.DEFAULT_GOAL := demo

demo: $(INSTALLED)
	$(BIN)/latent-report run demo

test: $(INSTALLED)
	$(TESTS) -m "not slow"

test-all: $(INSTALLED) # also what takes minutes: kills, full disks, clusters
	$(TESTS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/nbstripout --verify notebooks/*.ipynb notebooks/examples/*.ipynb

report: $(INSTALLED)
	$(BIN)/latent-report run "$(STUDY)"

lab: $(INSTALLED)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/explore.ipynb

bench: $(INSTALLED) # beside PyTorch and JAX; half an hour, on a machine that does nothing else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[bench]'
	for part in training speed studies scale page; do $(BIN)/python benchmarks/$$part.py || exit; done

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

lock: $(INSTALLED) # after a change of the dependencies in pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --extra cluster --no-annotate --no-header --upgrade pyproject.toml -o requirements.lock --quiet

clean:
	rm -rf .venv
