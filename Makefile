# gort: build, test, install. `make help` lists what there is.
#
# Everything built goes below $CARGO_TARGET_DIR (default: target), the C programs below its c/. CC, CXX and
# CFLAGS are those of the C tests and examples. Needed: Rust, a C compiler, make, Python 3. Used where they are
# installed: clang, g++, gdb, pkg-config, curl, libcurl. `make tools` installs what only the checks need.

CARGO ?= cargo
override CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
export CARGO_TARGET_DIR CC CXX CFLAGS

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
MAJOR := $(firstword $(subst ., ,$(VERSION)))
RELEASE := $(CARGO_TARGET_DIR)/$(addsuffix /,$(CARGO_BUILD_TARGET))release
C := $(CARGO_TARGET_DIR)/c

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
INSTALL ?= install
# What a program that links libgort.a must link besides.
LIBS_PRIVATE ?= -lgcc_s -lutil -lrt -lpthread -lm -ldl

.PHONY: build run test install bench stress model check reference tools ctests headers examples preload \
	build-preload bench-python test-python test-python-all wheels stress-python clean help

build: ## Build the release library (the default)
	$(CARGO) build --release --lib
	@mkdir -p $(C)/lib
	@ln -sf $(RELEASE)/libgort.so $(C)/lib/libgort.so
	@ln -sf $(RELEASE)/libgort.so $(C)/lib/libgort.so.$(MAJOR)
	@ln -sf $(RELEASE)/libgort.a $(C)/lib/libgort.a

# Not part of build: most programs need it not.
build-preload: build
	$(CARGO) build --release -p gort-preload
	@ln -sf $(RELEASE)/libgort_preload.so $(C)/lib/libgort_preload.so

# The last directory in the C compiler's own list is that of the system's headers.
SYSTEM_HEADERS = $(shell $(CC) -E -v -x c /dev/null 2>&1 | \
	sed -n '/search starts here/,/End of search/s/^ \(\/[^ ]*\).*/\1/p' | tail -n 1)

run: build ## Count the words of the C compiler's system headers (or of DIR=...) in goroutines
	@ctests/examples --build >$(C)/examples.log || { cat $(C)/examples.log; exit 1; }
	$(C)/examples/wordcount "$(or $(DIR),$(SYSTEM_HEADERS),/usr/include)"

test: ## Run all tests: of the crate, the header, the installation, C programs, examples
	$(CARGO) test --release
	@$(MAKE) --no-print-directory headers
	@$(MAKE) --no-print-directory ctests
	@$(MAKE) --no-print-directory examples
	@$(MAKE) --no-print-directory preload
	@$(MAKE) --no-print-directory test-python

headers: build-preload ## Test gort.h in every C and C++ standard, the exported symbols, the installation
	ctests/header/run

ctests: build ## Run the C tests (CTEST_ONLY=regex: only those; QUICK=1: one compiler, two processors)
	ctests/run $(if $(QUICK),--quick)

examples: build ## Build the examples and the programs of the tutorial, and compare what they print
	@{ command -v curl-config && command -v lua5.4; } >/dev/null || $(MAKE) --no-print-directory tools || true
	ctests/examples
	ctests/tutorial

preload: build-preload ## Test libgort_preload.so with C programs, libcurl and hiredis (CTEST_ONLY=, QUICK=1)
	@ctests/preload/run --installed || [ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory tools
	ctests/preload/run $(if $(QUICK),--quick)

PYTHON ?= python3
# Those that pyenv has, of the versions that are supported; else PYTHON.
PYTHONS ?= $(or $(wildcard $(foreach v,9 10 11 12 13,$(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.$(v).*/bin/python)),$(PYTHON))

test-python: ## Test the Python package with PYTHON=python3, in an environment that is made for it (PYTEST_ARGS=)
	bindings/python/check $(PYTHON)

test-python-all: ## Test it with all of PYTHONS (default: 3.9 to 3.13, where pyenv has them)
	bindings/python/check $(PYTHONS)

wheels: ## Build a wheel of the Python package for each of PYTHONS
	bindings/python/wheels $(PYTHONS)

stress-python: ## Repeat the tests of the Python package for MINUTES=30, or SECONDS=
	@end=$$(($$(date +%s) + $(or $(SECONDS),$(shell expr $(MINUTES) \* 60)))); \
	while [ $$(date +%s) -lt $$end ]; do bindings/python/check $(PYTHON) || exit 1; done

install: $(if $(SKIP_BUILD),,build-preload) ## Install to PREFIX below DESTDIR (SKIP_BUILD=1: what is built already)
	$(INSTALL) -d "$(DESTDIR)$(INCLUDEDIR)/gort" "$(DESTDIR)$(LIBDIR)" "$(DESTDIR)$(PKGCONFIGDIR)"
	$(INSTALL) -m 644 include/gort.h $(wildcard bindings/c/*.h bindings/cpp/*.hpp) "$(DESTDIR)$(INCLUDEDIR)"
	$(INSTALL) -m 644 $(wildcard bindings/cpp/gort/*.hpp) "$(DESTDIR)$(INCLUDEDIR)/gort"
	$(INSTALL) -m 644 $(RELEASE)/libgort.a "$(DESTDIR)$(LIBDIR)/libgort.a"
	$(INSTALL) -m 755 $(RELEASE)/libgort.so "$(DESTDIR)$(LIBDIR)/libgort.so.$(VERSION)"
	$(INSTALL) -m 755 $(RELEASE)/libgort_preload.so "$(DESTDIR)$(LIBDIR)/libgort_preload.so"
	ln -sf libgort.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/libgort.so.$(MAJOR)"
	ln -sf libgort.so.$(MAJOR) "$(DESTDIR)$(LIBDIR)/libgort.so"
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	    -e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS_PRIVATE@|$(LIBS_PRIVATE)|' gort.pc.in \
	    >"$(DESTDIR)$(PKGCONFIGDIR)/gort.pc"

bench: build ## Measure: the workloads of bench/c with one and two workers (ARGS=--go: beside Go; --help)
	bench/run $(ARGS)

BENCH_PYTHON := $(CARGO_TARGET_DIR)/bench-python

bench-python: ## Measure the Python package beside asyncio, uvloop, gevent, trio, ... (ARGS=--quick; --help)
	@test -d $(BENCH_PYTHON) || $(PYTHON) -m venv $(BENCH_PYTHON)
	@export PIP_CONSTRAINT=$(abspath bench/python/constraints.txt) PIP_BUILD_CONSTRAINT=$(abspath bench/python/constraints.txt); \
	for peer in $$(cat bench/python/requirements.txt); do \
	    $(BENCH_PYTHON)/bin/pip install -q "$$peer" || echo "$$peer is not to be had: measured without it"; \
	done
	$(BENCH_PYTHON)/bin/pip install -q ./bindings/python
	$(BENCH_PYTHON)/bin/python bench/python/run $(ARGS)

MINUTES ?= 30

stress: build ## Repeat the concurrency tests for MINUTES=30, or SECONDS=; TASKSET=0: on that CPU alone
	SECONDS="$(or $(SECONDS),$(shell expr $(MINUTES) \* 60))" TASKSET="$(TASKSET)" ctests/stress

model: export LOOM_MAX_PREEMPTIONS ?= 2
model: ## Check the models of the concurrent protocols with loom (LOOM_MAX_DURATION=s: at most so long each)
	RUSTFLAGS="--cfg loom $(RUSTFLAGS)" CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/loom \
	    $(CARGO) test --release --lib model

check: ## Check the format, lints, docs, and that the committed gort.h is the one the source makes
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items
	@if git ls-files --error-unmatch include/gort.h >/dev/null 2>&1; then \
	    git diff --exit-code -- include/gort.h || \
	        { echo "include/gort.h was out of date; it is new now: commit it"; exit 1; }; \
	else echo "no git: cannot tell whether include/gort.h is the committed one, skipped"; fi

reference: export GORT_VERSION := $(VERSION)
reference: export GORT_REFERENCE := $(CARGO_TARGET_DIR)/reference
reference: ## Make HTML of gort.h with Doxygen, warnings as errors
	@command -v doxygen >/dev/null || $(MAKE) --no-print-directory tools
	@mkdir -p $(GORT_REFERENCE)
	doxygen docs/Doxyfile
	@echo "$(GORT_REFERENCE)/index.html"

# The last six: libraries and programs that the tests of servers, of libgort_preload.so and of examples/lua use.
TOOLS := doxygen clang curl libcurl4-openssl-dev libhiredis-dev redis-server lua5.4 liblua5.4-dev

tools: ## Install what only the checks need (Debian packages, as root): Doxygen, clang, curl, hiredis, redis, Lua
	apt-get -qq update && apt-get -qq install -y --no-install-recommends $(TOOLS)

clean: ## Remove all that was built: the whole of CARGO_TARGET_DIR
	$(CARGO) clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
