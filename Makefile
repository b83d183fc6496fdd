# One word per job. The first call makes .venv here and installs what the job needs into it.

# The Python that .venv is made from: make test PYTHON=python3.12
PYTHON ?= python3
# Processes that run tests side by side.
JOBS ?= 2

# The Python of make test-oldest: the one in requires-python.
OLDEST_PYTHON ?= python3.10

# Of make freedoom.
SEED ?= 0

# What make web shows, and its port.
MODEL ?= lstd/weights/freedoom_s/model.tflite
VIDEO ?= examples/freedoom/freedoom.mp4
PORT ?= 8000

BIN := .venv/bin
OLDEST := build/oldest/bin
INSTALLED := .venv/.installed

# What the other jobs rest on; the rest of lstd is tested through commands in processes of their own.
COVERED := ops losses layers fit models export
COVERED_TESTS := $(addprefix tests/,ops test_losses.py layers conformance fit models export) \
	$(addprefix lstd/,ops losses.py layers fit models export)
OLDEST_TESTS := $(addprefix tests/,ops test_losses.py layers conformance config tf1 base)

.DEFAULT_GOAL := help
.PHONY: help demo web freedoom test test-all test-oldest coverage lint format types docs notebooks bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## detects with the model that comes with lstd, then trains and runs one on real video; see demo/
	$(BIN)/python examples/demo.py --output_directory demo

web:  ## a page that runs MODEL=lstd/weights/freedoom_s/model.tflite in the browser, served on this machine
	@for program in node npm; do command -v $$program > /dev/null || { \
		echo "make: no $$program here; on Debian and Ubuntu: apt install nodejs npm" >&2; exit 1; }; done
	@for file in "$(MODEL)" "$(VIDEO)"; do test -f "$$file" || { \
		echo "make: no $$file here; name others:" \
			"make web MODEL=exported/model.tflite VIDEO=street.mp4" >&2; exit 1; }; done
	cd examples/web && npm install --loglevel=error && OUTPUT=$(CURDIR)/build/web npm run --silent build
	cp "$(MODEL)" build/web/model.tflite
	cp "$(VIDEO)" build/web/video.mp4
	@echo "The page is in build/web, and at http://127.0.0.1:$(PORT)/ until Ctrl-C."
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/web $(PORT) 2> /dev/null || { \
		echo "make: port $(PORT) cannot be used; name another: make web PORT=8001" >&2; exit 1; }

# Each training goes on where it was stopped; a folder that is there is not made anew.
FREEDOOM := build/freedoom
train = $(BIN)/lstd-train --output_directory $(1) $(if $(wildcard $(1)/config.yaml),--resume) --set train.seed=$(SEED)
freedoom: $(INSTALLED)  ## the benchmark with a seed, SEED=0: data, three trainings, table; hours, see docs/freedoom.md
	$(BIN)/python -m pip install --quiet --editable ".[all,freedoom]"
	test -d $(FREEDOOM)/test_fast || $(BIN)/python benchmarks/freedoom/make_data.py --output_directory $(FREEDOOM)
	$(call train,$(FREEDOOM)/frames_$(SEED)) --config benchmarks/freedoom/frames.yaml
	$(call train,$(FREEDOOM)/run_$(SEED)) --config freedoom_s --set train.fine_tune.run=$(FREEDOOM)/frames_$(SEED)
	$(call train,$(FREEDOOM)/longer_$(SEED)) --config freedoom_s --set train.fine_tune.run=$(FREEDOOM)/run_$(SEED) \
		--set train.steps=2400
	$(BIN)/python benchmarks/freedoom/table.py --data $(FREEDOOM)/test_fast --fps 5.83 --output_directory $(FREEDOOM)/table_$(SEED) \
		--interleaved $(FREEDOOM)/longer_$(SEED) --single $(FREEDOOM)/frames_$(SEED)

test: $(INSTALLED)  ## all tests but the slow ones
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow"

test-all: $(INSTALLED)  ## all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

test-oldest:  ## tests on the oldest Python and the oldest versions that pyproject.toml allows
	$(OLDEST_PYTHON) -m venv --clear build/oldest
	$(OLDEST)/python -m pip install --quiet uv
	$(OLDEST)/python -m uv pip install --python $(OLDEST)/python --resolution lowest-direct \
		--editable ".[video,plots,fast,litert,test]"
	$(OLDEST)/python -m pytest -m "not slow" $(OLDEST_TESTS)

coverage: $(INSTALLED)  ## lines that tests run; fails where a part of COVERED has less than 90 %
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report= $(COVERED_TESTS)
	@failed=0; for part in $(COVERED); do \
		echo "== lstd/$$part"; \
		$(BIN)/python -m coverage report --include="lstd/$$part/*,lstd/$$part.py" --fail-under=90 \
			|| failed=1; \
	done; exit $$failed

lint: $(INSTALLED)  ## mistakes and format, changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)  ## mends what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)  ## mypy over lstd
	$(BIN)/mypy

docs: $(INSTALLED)  ## the site of docs/ in build/site; a warning or a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(INSTALLED)  ## runs all notebooks, stores their outputs in them, and stops at the first error
	$(BIN)/jupyter-nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=1800 \
		--ExecutePreprocessor.extra_arguments=--IPKernelApp.capture_fd_output=False \
		--ClearMetadataPreprocessor.enabled=True \
		--ClearMetadataPreprocessor.preserve_cell_metadata_mask="{'tags'}" \
		--ClearMetadataPreprocessor.preserve_nb_metadata_mask="{'kernelspec', ('language_info', 'name')}" \
		$(sort $(wildcard notebooks/*.ipynb))

bench: $(INSTALLED)  ## all benchmarks, one after the other; three of them look at what make demo made
	@failed=; for script in $$(grep -l __main__ benchmarks/*.py); do \
		echo "== $$script"; $(BIN)/python $$script || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "make bench: these did not end well:$$failed" >&2; exit 1; }

clean:  ## removes all that make has made, .venv too
	rm -rf .venv demo dist build notebooks/made examples/web/node_modules .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is older than pyproject.toml when the dependencies may have changed.
$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
		echo "make: no $(PYTHON) here; name a Python 3.10 to 3.13: make PYTHON=/path/to/python" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { \
		echo "make: lstd needs Python 3.10 to 3.13, $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
			"name another: make PYTHON=python3.12" >&2; \
		exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
		rm -rf .venv; \
		echo "make: $(PYTHON) could not make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "Installing lstd and its tools into .venv; TensorFlow takes a few minutes."
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --editable ".[all,dev]" || { \
		echo "make: the installation failed; if pip found no tensorflow, it has none for" \
			"$$($(BIN)/python --version): make clean, then make PYTHON=python3.12" >&2; \
		exit 1; }
	@touch $@
