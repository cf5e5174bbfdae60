# What one needs to work on keyturn. Only Go is required; the race detector also
# needs a C compiler and is left out, with a notice, where there is none.

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS     := -s -w -X github.com/keyturn/keyturn/internal/app.Version=$(VERSION)
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
RACE        := $(shell [ "$$($(GO) env CGO_ENABLED)" = 1 ] && command -v "$$($(GO) env CC)" >/dev/null 2>&1 && echo -race)
EXE         := $(shell $(GO) env GOEXE)
TESTFLAGS   ?=
# Without this every program that a test starts would wait a second at its end.
GORACE      ?= atexit_sleep_ms=0

# Tools run at a pinned version and stay out of go.mod.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

SYSTEMS     := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

# A release depends on the source, the version and the time of its commit alone.
EPOCH       ?= $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
DIST        ?= dist
FOR_RELEASE := CGO_ENABLED=0 GOFLAGS= GOEXPERIMENT= GOAMD64=v1 GOARM64=v8.0
RELEASE     := $(FOR_RELEASE) $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS) -buildid='

.PHONY: build test lint unit short servers real bench soak fuzz cross release reproducible vuln clean

build: ## bin/keyturn
	$(BUILD) -o bin/keyturn$(EXE) ./cmd/keyturn

test: lint unit ## linters and all tests: no network beyond Go modules, no server

lint: ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); \
	if [ -n "$$bad" ]; then echo "gofmt has something to say about:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

unit: ## go test, with the race detector where it can be had
	@[ -n "$(RACE)" ] || echo "NOTICE: no C compiler for $(GO): testing without the race detector"
	GORACE="$(GORACE)" $(GO) test $(RACE) $(TESTFLAGS) ./...

short: ## the quick tests, for while one works: no real server, nothing that takes more than a few seconds
	$(GO) test -short ./...

# Servers that tests run against, by the names of their modules in
# internal/world/servers. They are built once, into a cache outside the checkout.
SERVERS     ?= databases vault

servers: ## builds the real servers that tests need; ten minutes the first time
	internal/world/servers/build $(SERVERS)

# The program as it ships (no race detector) against real servers and its own store:
# kill -9 in a loop, and every test once more in another order. A server that is
# missing fails here, where 'make test' leaves its tests out and says so.
real: build servers ## the longer tests, against real servers
	KEYTURN_REAL=1 KEYTURN_SOAK=50 $(GO) test -count=1 -timeout 20m -run Kill -v ./internal/world
	KEYTURN_REAL=1 $(GO) test -count=1 -shuffle=on -timeout 30m $(TESTFLAGS) ./...
	cd internal/migrate/oracle && $(GO) test ./... # compose's own library, in a module of its own

bench: ## ratios, measured side by side in one run; takes a few minutes
	internal/world/servers/build vault vals
	KEYTURN_REAL=1 KEYTURN_BENCH=1 $(GO) test -count=1 -timeout 60m -run TestRatios -v ./bench

soak: ## the full counts: 1,000 kill -9 (a third each of puts, rekeys, migrations) and 100,000 crashes of a simulated disk; half an hour
	KEYTURN_SOAK_IMAGES=100000 $(GO) test -count=1 -timeout 60m -run '^TestCrash' -v ./internal/state/...
	KEYTURN_SOAK=340 $(GO) test -count=1 -timeout 60m -run Kill -v ./internal/world

FUZZTIME ?= 30s
fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; done

cross: ## builds for every system, without cgo
	@set -e; for s in $(SYSTEMS); do \
		os=$${s%/*}; arch=$${s#*/}; ext=; [ $$os = windows ] && ext=.exe; \
		echo "building for $$os/$$arch"; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o bin/$$os-$$arch/keyturn$$ext ./cmd/keyturn; \
		GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) vet -trimpath ./...; \
	done

release: ## dist: archives for every system, their bills of materials (CycloneDX), SHA256SUMS
	@[ -n "$(EPOCH)" ] || { echo "no commit to take the time from: say EPOCH=SECONDS" >&2; exit 1; }
	@case "$(VERSION)" in *-dirty) echo "NOTICE: there are changes that are in no commit: nobody else can build this version";; esac
	rm -rf bin/release $(DIST)
	mkdir -p bin/release/sboms bin/release/completions
	@set -e; for s in $(SYSTEMS); do \
		os=$${s%/*}; arch=$${s#*/}; ext=; [ $$os = windows ] && ext=.exe; \
		echo "building for $$os/$$arch"; \
		GOOS=$$os GOARCH=$$arch $(RELEASE) -o bin/release/$$os-$$arch/keyturn$$ext ./cmd/keyturn; \
		$(FOR_RELEASE) $(GO) run -trimpath $(CYCLONEDX) bin -json -std -noserial -notimestamp -version '$(VERSION)' \
			-output bin/release/sboms/$$os-$$arch.cdx.json bin/release/$$os-$$arch/keyturn$$ext 2>bin/release/sboms.log || { cat bin/release/sboms.log >&2; exit 1; }; \
	done
	@$(RELEASE) -o bin/release/host/keyturn$(EXE) ./cmd/keyturn
	@set -e; k=bin/release/host/keyturn$(EXE); to=bin/release/completions; \
		$$k completion bash >$$to/keyturn.bash; $$k completion zsh >$$to/_keyturn; \
		$$k completion fish >$$to/keyturn.fish; $$k completion powershell >$$to/keyturn.ps1
	$(GO) run ./internal/release -version '$(VERSION)' -time $(EPOCH) -built bin/release -out $(DIST) README.md LICENSE
	@cat $(DIST)/SHA256SUMS

reproducible: ## the same release from two folders, the second with a cache of its own: the same bytes
	.ci/reproducible $(REPRODUCE)

vuln: ## known vulnerabilities; needs https://vuln.go.dev, so it is no gate of 'make test'
	@echo "govulncheck asks the database at vuln.go.dev: without network this fails, and says nothing about the code"
	$(GO) run $(GOVULNCHECK) ./...

clean:
	rm -rf bin dist
