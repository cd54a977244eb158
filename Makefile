# The commands of this repository. `make` alone explains them.
#
# Two do all their own set-up: `make run` needs Go and nothing else; `make test` installs the Debian packages its tests
# use when it runs as root, and names them otherwise.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
ARGS ?=
BASE ?=
PKG ?= ./...
RUN ?= .
FUZZTIME ?= 60s
BENCHTIME ?= 1s

# What runs on a shard's thread, and so has invariants to check.
DATA_PLANE := ./engine/... ./shard/... ./proxy/...
# What counts its steps with the tag invariant.
COUNTING := ./routing
# The race detector finds nothing in tests that read sources, nor in a package that starts no goroutine and uses no
# unsafe pointer. Those of e2e it would slow down beyond their limits and ours: go test -race ./e2e is for a quiet machine.
RACE_PKGS = $(shell go list ./... | grep -vE '/(internal/tidy|e2e|perf|routing/regset)(/|$$)')

# A test that hangs is to say where before anybody loses patience.
TEST = go test -count=1 -timeout 10m

step = @printf '\n== %s\n' '$(1)'

.PHONY: help
help: ## explain the commands
	@echo 'usage: make COMMAND [VARIABLE=VALUE ...]'
	@echo
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo
	@echo '  make run ARGS="--config my.toml"             with a configuration of your own'
	@echo '  make fuzz PKG=./proxy/h1 FUZZTIME=10m        one package for longer'
	@echo '  make bench PKG=./routing RUN=Match           some benchmarks'
	@echo '  make perf-gate BASE=v1.2.0                   against that build of ours'

.PHONY: run
run: build ## build, and start the proxy with its built-in demonstration
	@exec bin/uringproxy run $(ARGS)

.PHONY: build
build: ## build bin/uringproxy
	@CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/uringproxy ./cmd/uringproxy

.PHONY: test
test: packages check unit race effort giouring sysctl fuzz-smoke bench-smoke ## run every test there is (some minutes)
	@printf '\nall tests passed\n'

.PHONY: check
check: ## format, vet and the rules of internal/tidy (seconds)
	$(call step,gofmt)
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	$(call step,go vet)
	@go vet ./...
	@go vet -tags invariant $(DATA_PLANE) $(COUNTING)
	@go vet -tags sysctl ./engine/probe
	@go vet -tags giouring ./engine/uring
	$(call step,tidy)
	@$(TEST) ./internal/tidy

.PHONY: unit
unit: ## go test ./...
	$(call step,go test)
	@$(TEST) $(PKG)

.PHONY: race
race: ## under the race detector, which checks pointers and invariants too; fewer rounds of the same
	$(call step,go test -race)
	@$(TEST) -race -short $(RACE_PKGS)

.PHONY: invariant
invariant: ## the data plane with its invariants checked, and at full speed
	$(call step,go test -tags invariant)
	@$(TEST) -tags invariant $(DATA_PLANE) $(COUNTING)

.PHONY: effort
effort: ## the steps of a search, counted
	$(call step,go test -tags invariant)
	@$(TEST) -tags invariant $(COUNTING)

.PHONY: giouring
giouring: ## the ring driver on giouring, and the comparison of its constants with ours
	$(call step,go test -tags giouring)
	@$(TEST) -tags giouring -ldflags=-checklinkname=0 ./engine/uring

.PHONY: sysctl
sysctl: ## the fall-back when kernel.io_uring_disabled is set (changes it for a moment)
	$(call step,go test -tags sysctl)
	@$(TEST) -tags sysctl -run Sysctl ./engine/probe

.PHONY: kernels
kernels: ## the tests of the data plane on Debian's kernels, in emulated machines (an hour; ARGS names packages)
	@for tests in ./engine/probe ./engine/epoll ./engine/uring ./proxy; do .ci/kernels $$tests $(ARGS) || exit 1; done

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME
	@.ci/fuzz $(FUZZTIME) $(PKG)

.PHONY: fuzz-smoke
fuzz-smoke: ## every fuzz target for some hundred inputs
	$(call step,fuzz targets)
	@.ci/fuzz 300x ./...

.PHONY: bench
bench: ## run the benchmarks that match RUN
	@go test -run '^$$' -bench '$(RUN)' -benchtime=$(BENCHTIME) -benchmem $(PKG)

.PHONY: bench-smoke
bench-smoke: ## every benchmark once, small, so that none rots
	$(call step,benchmarks)
	@go test -short -run '^$$' -bench . -benchtime=1x ./...

# Built and not by go run, which would neither pass on a SIGTERM nor the exit code. Of the latter make names the number,
# and ends with 2 itself; the last line of output says the outcome.
.PHONY: perf-gate
perf-gate: ## hold this build to PERFORMANCE_CONTRACT.md, beside other proxies and BASE (some twenty minutes)
	@go build -o bin/perf-gate ./perf/gate
	@exec bin/perf-gate $(if $(BASE),--base '$(BASE)') $(ARGS)

.PHONY: packages
packages: ## install what the tests use, or name it
	@.ci/packages
