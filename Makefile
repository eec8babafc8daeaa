# Build, test and run Assay. `make` alone lists the targets. The build environment itself (tags, linker flags, where
# ONNX Runtime lies) stands in scripts/env.sh and nowhere else.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: Debian packages, ONNX Runtime
	@scripts/setup.sh

.PHONY: generate
generate: ## Generate Go from proto/
	scripts/buf.sh generate

.PHONY: check-generate
check-generate: ## Fail if the committed Go of proto/ is not what would be generated
	scripts/check-generate.sh
