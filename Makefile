# Thin on purpose: a target is one or two commands, and CI runs the same ones.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null)
PACKAGE := labctl.dev/labctl/pkg/version
LDFLAGS := -buildid= -s -w -X $(PACKAGE).version=$(VERSION) -X $(PACKAGE).commit=$(COMMIT) -X $(PACKAGE).date=$(DATE)

LAB       ?= model-registry
BENCH     ?= -rounds 3
# The longest proofs first, so that two at a time end together.
SMOKE     ?= serving drift-monitor retraining model-registry --parallel 2
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

LABCTL    := bin/labctl
RESULTS   := bin/results
LINT_VENV := bin/venv/lint
TEST_VENV := bin/venv/test
PROGRAMS  := bin/venv/programs
# The tools have a module of their own, so that their dependencies never become the product's.
TOOL      := go tool -modfile=.ci/tools/go.mod
# Apart from the other tools, because it needs another version of a YAML library than they do.
ACTIONLINT := go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# The race detector needs a C compiler; a machine without one runs the same tests without it.
RACE = $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Make the machine fit and bring the lab model-registry up (LAB=name for another)
	$(LABCTL) doctor --fix
	$(LABCTL) up $(LAB)

.PHONY: build
build: ## Build bin/labctl
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o $(LABCTL) ./cmd/labctl

.PHONY: test
test: build ## Run all tests: unit, golden, script, Python and end to end on a real kind cluster
	@rm -rf $(RESULTS)
	@status=0; for stage in unit python-test e2e; do $(MAKE) --no-print-directory $$stage || status=1; done; \
	.ci/summary $(RESULTS) && exit $$status

.PHONY: unit
unit: ## Run the Go tests that need no cluster: unit, golden and script tests
	@mkdir -p $(RESULTS)
	CGO_ENABLED=$(if $(RACE),1,0) $(TOOL) gotestsum --format pkgname-and-test-fails --format-hide-empty-pkg \
		--jsonfile $(RESULTS)/unit.json -- $(RACE) ./...

.PHONY: python-test
python-test: $(TEST_VENV)/.done ## Run the tests of the Python code in the images
	@mkdir -p $(RESULTS)
	@[ -e $(PROGRAMS)/.done ] || .ci/programs $(PROGRAMS) || true
	PATH="$(abspath $(PROGRAMS))/bin:$$PATH" LABCTL_TEST_PROGRAMS=$${LABCTL_TEST_PROGRAMS:-$$([ ! -e $(PROGRAMS)/.done ] || echo required)} \
		PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 $(TEST_VENV)/bin/python -m pytest images --quiet --numprocesses auto --maxprocesses 4 --dist loadfile --junitxml $(RESULTS)/python.xml

.PHONY: e2e
e2e: build ## Test on real kind clusters, and prove every lab fresh, solved and with its faults (LABCTL_E2E_LABS=serving for one)
	$(LABCTL) doctor --fix
	$(LABCTL) images pull
	@mkdir -p $(RESULTS)
	CGO_ENABLED=0 LABCTL_BIN=$(abspath $(LABCTL)) $(TOOL) gotestsum --format standard-verbose --jsonfile $(RESULTS)/e2e.json \
		-- -trimpath -tags e2e -count 1 -timeout 70m ./pkg/internal/e2e/...

.PHONY: smoke
smoke: build ## Prove every lab in all its states, on a cluster that labctl makes (SMOKE="serving" for one)
	$(LABCTL) doctor --fix
	$(LABCTL) images pull
	@mkdir -p $(RESULTS)
	$(LABCTL) smoke $(SMOKE) --junit $(RESULTS)/smoke.xml

.PHONY: smoke-class
smoke-class: build ## Prove every lab as a class has it: one namespace, one Role, somebody else's cluster
	$(LABCTL) doctor --fix
	$(LABCTL) images pull
	@mkdir -p $(RESULTS)
	CGO_ENABLED=0 LABCTL_BIN=$(abspath $(LABCTL)) LABCTL_E2E_CLASS_LABS=all LABCTL_E2E_CLASS_STATES=fresh,solved,faults \
		$(TOOL) gotestsum --format standard-verbose --jsonfile $(RESULTS)/smoke-class.json \
		-- -trimpath -tags e2e -count 1 -timeout 90m -run TestExistingCluster ./pkg/internal/e2e/...

.PHONY: golden
golden: ## Write the golden files anew
	go test $$(go list -f '{{range .TestImports}}{{if eq . "labctl.dev/labctl/pkg/internal/golden"}}{{$$.ImportPath}}{{end}}{{end}} \
		{{range .XTestImports}}{{if eq . "labctl.dev/labctl/pkg/internal/golden"}}{{$$.ImportPath}}{{end}}{{end}}' ./...) -update

.PHONY: lint
lint: $(LINT_VENV)/.done ## Run all linters: Go, YAML, Markdown, Python
	$(TOOL) golangci-lint run ./...
	$(ACTIONLINT)
	$(LINT_VENV)/bin/yamllint --strict .
	$(LINT_VENV)/bin/rumdl check --quiet .
	$(LINT_VENV)/bin/ruff check images .ci/summary
	$(LINT_VENV)/bin/ruff format --check images .ci/summary

.PHONY: format
format: $(LINT_VENV)/.done ## Format Go and Python code
	$(TOOL) golangci-lint fmt ./...
	$(LINT_VENV)/bin/ruff format images .ci/summary

.PHONY: generate
generate: ## Write the command reference in docs/commands and the schema in docs/schema anew
	go run ./cmd/gendocs -markdown docs/commands -schema docs/schema

.PHONY: verify
verify: generate ## Fail when a generated file or go.mod is not up to date
	go mod tidy -diff
	git diff --exit-code -- docs/commands docs/schema
	@test -z "$$(git status --porcelain -- docs/commands docs/schema)" || { git status --short -- docs/commands docs/schema; exit 1; }

.PHONY: dist
dist: ## Build the six release binaries, completions and man pages into dist/
	@rm -rf dist && mkdir -p dist
	@set -e; for p in $(PLATFORMS); do \
		os=$${p%/*} arch=$${p#*/}; echo "build $$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags "$(LDFLAGS)" \
			-o dist/labctl_$${os}_$$arch$$(test $$os != windows || echo .exe) ./cmd/labctl; \
	done
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) go run ./cmd/gendocs -man dist/man -completions dist/completions

.PHONY: bench
bench: build ## Measure `labctl up` against bare kind and against the way by hand (BENCH="-rounds 1")
	@mkdir -p bin/bench
	@cp go.mod bin/bench/tools.mod && cp go.sum bin/bench/tools.sum
	go get -modfile=bin/bench/tools.mod helm.sh/helm/v3/cmd/helm sigs.k8s.io/kind
	CGO_ENABLED=0 go build -modfile=bin/bench/tools.mod -trimpath -ldflags "-s -w" -o bin/bench/ helm.sh/helm/v3/cmd/helm sigs.k8s.io/kind
	CGO_ENABLED=0 go build -trimpath -o bin/bench/bench ./cmd/bench
	bin/bench/bench -labctl $(LABCTL) -kind bin/bench/kind -helm bin/bench/helm $(BENCH)

.PHONY: clean
clean: ## Remove what was built here; clusters and images stay (see labctl down --purge)
	rm -rf bin dist

$(LINT_VENV)/.done: .ci/tools/requirements.lock
	.ci/venv $(@D) $<

$(TEST_VENV)/.done: images/python/requirements-dev.lock
	.ci/venv $(@D) $<
