# Every verb bootstraps .venv by itself; nothing else has to be installed but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROMPT ?= two yellow stars on a purple background
ARGS ?=

.DEFAULT_GOAL := help

help: ## List the verbs
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP) ## Render a picture, judge it, retry where the judge says no, file it: make run PROMPT="two blue squares"
	@$(BIN)/python generate.py "$(PROMPT)" $(ARGS) || test $$? -eq 3  # 3: made, but not accepted; it said so

setup: $(STAMP) ## Get a real model that suits this machine, and draw with it: make setup ARGS="--show"
	@$(BIN)/python generate.py setup $(ARGS) || test $$? -eq 3

serve: $(STAMP) ## Serve MCP over HTTP on 127.0.0.1:8765: make serve ARGS="--port 9000"
	@$(BIN)/python mcp_server.py --http $(ARGS)

test: $(STAMP) ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

check: $(STAMP) ## Lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pyright

bench: $(STAMP) ## Measure ourselves against the bare path: ratios, never asserted
	@$(BIN)/python -m tests.bench $(ARGS)

conformance: $(STAMP) ## The MCP conformance suite and the Inspector against the production server
	@$(BIN)/python -m tests.conformance $(ARGS)

test-comfyui: $(STAMP) ## The contract suite against a real server: ATELIER_TEST_COMFYUI=http://host:port make test-comfyui
	@test -n "$(ATELIER_TEST_COMFYUI)" || { echo "Say where: ATELIER_TEST_COMFYUI=http://host:port make test-comfyui"; exit 2; }
	@$(BIN)/python -m pytest tests/live $(ARGS)

.PHONY: help run setup serve test check bench conformance test-comfyui
