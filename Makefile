# make demo   builds everything and shows the whole path on this machine
# make test   runs every check: what CI runs
# make bench  measures, against peers in the same run
# make year   lives a year of a million entries and finds all that was planted

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod
VERSION := 0.1.0
# The platform's images are built once, for tests and demo alike.
export STRONGROOM_IMAGES ?= /var/cache/strongroom/images
export STRONGROOM_HEROKU ?= $(CURDIR)/build/heroku/node_modules/.bin/heroku

.PHONY: build setup test unit lint integration bench year demo demo-down demo-clean

build:
	@mkdir -p build
	$(GO) build -ldflags "-X github.com/strongroom/strongroom/internal/cli.Version=$(VERSION)" -o build/strongroom ./cmd/strongroom

setup:
	@scripts/setup

test: setup lint unit integration
	@scripts/demo test

lint:
	$(GO) vet ./...
	$(GO) vet -tags integration,live ./...
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags integration,live ./...
	@out=$$($(TOOL) gofumpt -l .); test -z "$$out" || { echo "gofumpt: run it on:"; echo "$$out"; exit 1; }

unit:
	$(GO) test ./...

# Only the packages that have integration tests; unit runs all the others. Two at a
# time: most of them wait for disks and for other programs.
INTEGRATION = $(shell grep -rl --include='*_test.go' '^//go:build integration' . | xargs -n1 dirname | sort -u)

integration: setup build
	$(GO) test -tags integration -p 2 -timeout 25m $(INTEGRATION)

# BENCH passes flags on: make bench BENCH='-run append,query'
bench: build
	@scripts/setup bench
	$(GO) run ./bench $(BENCH)

# YEAR says how many entries; tests/year lives a short year in make test.
YEAR ?= 1000000
year:
	STRONGROOM_YEAR=$(YEAR) $(GO) test -v -count=1 -timeout 60m ./tests/year

demo: setup build
	@scripts/demo up

demo-down:
	@scripts/demo down

demo-clean:
	@scripts/demo clean
