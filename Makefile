# Gatehouse. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build test short proof mutants lint generate bench check

GO ?= go
# Packages tested side by side: the engines of the tests want a core each.
PACKAGES_AT_ONCE ?= 2
# Seconds per fuzz target, beyond its seeds.
FUZZ_SECONDS ?= 10

POSTGRES := $(GO) run ./internal/base/db/dbtest/withpostgres --
REPORT   := $(GO) run ./internal/tree/report

help: ## list the targets
	@echo "Gatehouse targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/gatehouse: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/gatehouse ./cmd/gatehouse

test: check ## everything CI runs: both databases, races, fuzzing, browsers (under 30 minutes; installs what it needs)
	@if [ ! -d e2e ]; then echo "make test: there is no e2e directory, so NO BROWSER TEST runs" >&2; fi
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(POSTGRES) scripts/gotest -race -p $(PACKAGES_AT_ONCE) -timeout 25m | $(REPORT)

short: ## Go only, SQLite only (under 2 minutes)
	@$(GO) vet ./...
	@$(GO) test -short ./...

proof: ## the full numbers of the threat catalogue (hours); writes docs/evidence/; PROOF="rules" for a part
	@scripts/prerequisites
	@$(POSTGRES) scripts/proof $(PROOF)

mutants: ## take each defence away and demand that its test notices; MUTANTS="AZ03 TK12_lost" for a few
	@scripts/prerequisites
	@$(POSTGRES) $(GO) run ./internal/mutants $(MUTANTS)

lint: ## staticcheck and gofumpt, built from the module in tools/
	@scripts/lint

generate: ## write all generated files anew
	$(GO) generate ./...

bench: ## the house under load, with aims (10 minutes; writes docs/evidence/); BENCH="-quick" for a minute
	@scripts/bench $(BENCH)

check:
	@scripts/prerequisites
	@scripts/gofmt
	@$(GO) vet ./...
