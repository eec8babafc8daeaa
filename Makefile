# Build, test and run Assay. `make` alone lists the targets. What a target does stands in scripts/; the build environment
# (tags, linker flags, where ONNX Runtime lies) stands in scripts/env.sh and nowhere else.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: Debian packages, ONNX Runtime
	@scripts/setup.sh

.PHONY: build
build: setup ## Build bin/assayd and bin/assay, with ONNX Runtime beside them
	@scripts/build.sh

.PHONY: demo
demo: build ## Start a node, judge a line's frames and show the results (DEMO_SECONDS=5 ends it early)
	@bin/assay demo

.PHONY: test
test: ## Format, vet, build and all tests, with the seconds of each stage
	@scripts/test.sh

.PHONY: race
race: setup ## All tests under the race detector, but the board of 128 Mpx
	@. scripts/env.sh; go test -race -timeout=30m -skip TestABoardOf128Megapixels ./...

.PHONY: lint
lint: setup ## golangci-lint on the Go, buf's lint and format on proto/
	@scripts/golangci-lint.sh run ./...
	@scripts/buf.sh lint
	@scripts/buf.sh format --diff --exit-code

.PHONY: generate
generate: ## Generate the Go in proto/ from its .proto files
	@scripts/buf.sh generate

.PHONY: golden
golden: setup ## Record the golden set of the model that ships, of rendered boards (MODEL=models/pcb-pair/1)
	@. scripts/env.sh; go run ./cmd/assayd golden $(or $(MODEL),models/pcb-pair/1) --rendered 2 --write

.PHONY: check-generate
check-generate: ## Fail if the Go in proto/ is not what would be generated
	@scripts/check-generate.sh

.PHONY: fuzz
fuzz: setup ## Run every fuzz target for FUZZTIME (20s)
	@scripts/fuzz.sh

.PHONY: bench
bench: setup ## Measure a node against ONNX Runtime alone (BENCH=P1,P3, BENCH_QUICK=1), 35 minutes
	@scripts/bench.sh

.PHONY: eval
eval: setup ## Measure the models through a node: a table for each of three tasks (INSPECTION_DATA=DIR, EVAL_ONLY=detect)
	@scripts/eval.sh

.PHONY: microbench
microbench: setup ## Run the Go benchmarks (BENCH=regexp, BENCH_COUNT=6), kept for benchstat
	@scripts/microbench.sh

.PHONY: clean
clean: ## Remove what was built; .tools with its downloads stays
	rm -rf bin build
