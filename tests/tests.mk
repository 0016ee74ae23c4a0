# What runs on the program: tests, checks, the demo and the bench. Included by the Makefile.

PYTHON ?= /usr/bin/python3
FUZZ_SECONDS ?= 60
KEEP ?=

# --- the packages that a goal needs, installed where they are missing -------------------------------------------------

PACKAGES_demo := run
PACKAGES_unit := check
PACKAGES_check := run check deb
PACKAGES_e2e := run check deb
PACKAGES_contract := run check contract
PACKAGES_distributions := run check deb
PACKAGES_golden := run check
PACKAGES_bench := run check
PACKAGES_bench-fleet := run check
PACKAGES_lint := check lint
PACKAGES_format := lint
PACKAGES_sanitize := run check
PACKAGES_fuzz := fuzz
PACKAGES_coverage := run check coverage
PACKAGES_deb := deb
PACKAGES := $(sort build $(foreach goal,$(MAKECMDGOALS),$(PACKAGES_$(goal))))

tools:
	@tests/packages.sh $(PACKAGES)

# --- tests --------------------------------------------------------------------------------------------------------------

export PYTHONDONTWRITEBYTECODE := 1
PYTEST = DYNIA=$(abspath $(O)/dynia) DYNIA_BUILD_DIR=$(abspath $(O)) $(PYTHON) -m pytest -p no:cacheprovider -q --tb=short $(PYTEST_FLAGS)

# Helpers that tests run: tests/tools/quote.c becomes build/tools/quote.
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
TOOL_BIN := $(TOOL_SRC:tests/tools/%.c=$(O)/tools/%)

$(O)/tools/%: $(O)/obj/tests/tools/%.o $(O)/libdynia.a
	$(Q)mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

# A fuzzer with a main() that runs it on the files it is given, once each.
$(FUZZ_BIN): $(O)/fuzz/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay.o $(O)/libdynia.a
	$(Q)mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

check: unit corpora e2e ## every test: unit, corpora, golden cases, end to end

unit: tools $(UNIT_BIN) $(O)/dynia ## the unit tests
	@status=0; for t in $(UNIT_BIN); do $$t || status=1; done; exit $$status

corpora: tools $(FUZZ_BIN) ## the fuzzers' corpora, once through
	@set -e; for f in $(FUZZ_BIN); do $$f tests/fuzz/corpus/$$(basename $$f)/*; done

# Files of tests, two at a time: most of them wait for programs more than they compute. WORKERS=0 runs them in one process.
WORKERS ?= 2
E2E_FLAGS ?= -m "not contract and not distributions"

e2e: tools all $(TOOL_BIN) ## golden cases and end-to-end tests, on real programs
	@$(PYTEST) $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist loadgroup) $(E2E_FLAGS) tests/e2e

contract: tools all ## the clouds' doubles, and calls to them, against the published descriptions in ../shared/contract
	@$(PYTEST) -m contract tests/e2e/test_prism.py

distributions: tools all ## the package, built and used on Debian 13, Ubuntu 22.04 and 24.04, whose archives it needs
	@$(PYTEST) -m distributions tests/e2e/test_clean_roots.py

faults: tools all ## every system call of an apply fails once, not a sample of them: about 10 minutes
	@DYNIA_LOOKS=1 DYNIA_FAULTS=100000 $(PYTEST) -n 2 --dist load tests/e2e/test_faults.py

golden: tools all ## write tests/cases/*/*/want and error anew: read the diff
	@GOLDEN=1 $(PYTEST) tests/e2e/test_golden_valid.py tests/e2e/test_golden_invalid.py

sanitize: tools ## the tests under the address and undefined behaviour sanitizers, but those of machines, disks and load
	@$(MAKE) --no-print-directory BUILD=asan E2E_FLAGS='-m "not heavy"' unit corpora e2e

CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LDFLAGS_fuzz := -fsanitize=address,undefined

fuzz: tools ## look for inputs that break the loader: FUZZ_SECONDS=60 each
	@$(MAKE) --no-print-directory BUILD=fuzz CC=clang fuzz-run

fuzz-run: $(FUZZ_SRC:tests/fuzz/%.c=$(O)/fuzz/%.run)

$(O)/fuzz/%.run: $(O)/obj/tests/fuzz/%.o $(O)/libdynia.a
	$(Q)mkdir -p $(@D) $(O)/corpus/$*
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $(O)/fuzz/$*-fuzzer $^ $(PKG_LIBS)
	$(O)/fuzz/$*-fuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -artifact_prefix=$(O)/fuzz/ \
		$(O)/corpus/$* tests/fuzz/corpus/$*

coverage: tools ## which lines the tests run: build/cover/coverage.html
	@$(MAKE) --no-print-directory BUILD=cover unit corpora e2e
	@gcovr --root . --object-directory build/cover --filter '(base|spec|gitsync|render|reconciler|bootstrap|cli)/' \
		--html-details build/cover/coverage.html --print-summary

bench: tools all $(BENCH_BIN) ## time and memory beside the budget and the floor
	@DYNIA=$(abspath $(O)/dynia) BENCH=$(abspath $(O)/bench) $(PYTHON) tests/bench/bench.py

bench-fleet: tools all ## 200 agents against one git server: AGENTS=200 ROUNDS=20 AT_ONCE=4
	@DYNIA=$(abspath $(O)/dynia) $(PYTHON) tests/bench/fleet.py

demo: tools all ## two nodes on this machine, from a commit to a served page
	@DYNIA=$(abspath $(O)/dynia) KEEP=$(KEEP) $(PYTHON) tests/demo/demo.py

# --- checks -------------------------------------------------------------------------------------------------------------

CFLAGS_clang := -O2 -g
SHELL_FILES := tests/packages.sh .ci/run packaging/completion/dynia.bash
TIDY_SRC := $(filter-out base/err.c,$(LIB_SRC) $(CLI_SRC))

lint: tools lint-format lint-text lint-layers lint-headers lint-cppcheck lint-compilers lint-tidy ## everything that reads the code: tidy, cppcheck, layers, format, ...

lint-compilers: tools
	@echo "  LINT  gcc and clang"
	$(Q)$(MAKE) --no-print-directory BUILD=gcc CC=gcc CFLAGS_gcc=-O2 build/gcc/dynia programs
	$(Q)$(MAKE) --no-print-directory BUILD=clang CC=clang build/clang/dynia programs

programs: $(UNIT_BIN) $(FUZZ_BIN) $(BENCH_BIN) $(TOOL_BIN)

lint-headers: tools
	@echo "  LINT  each header alone"
	$(Q)set -e; for h in $(HEADERS); do \
		$(CC) $(CPPFLAGS_ALL) -std=gnu17 $(WARN) -fsyntax-only -include $$h -x c /dev/null; done

lint-layers: tools
	@echo "  LINT  layers"
	$(Q)$(PYTHON) tests/lint/layers.py $(filter-out tests/%,$(C_FILES))

lint-tidy: tools
	@echo "  LINT  clang-tidy"
	$(Q)printf '%s\n' $(TIDY_SRC) | xargs -P $$(nproc) -n 4 sh -c \
		'clang-tidy --quiet "$$@" -- -std=gnu17 $(CPPFLAGS_TIDY) -include tests/lint/tidy.h 2>/dev/null' tidy

# The shell of lint-tidy is quoted once more.
CPPFLAGS_TIDY = -D_GNU_SOURCE -DDYNIA_VERSION=\"$(VERSION)\" -I. -include base/banned.h $(PKG_CFLAGS)

lint-cppcheck: tools
	@echo "  LINT  cppcheck"
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppressions-list=tests/lint/cppcheck.txt -j $$(nproc) \
		-D_GNU_SOURCE -DDYNIA_VERSION='""' -I. $(LIB_SRC) $(CLI_SRC)

lint-format: tools
	@echo "  LINT  clang-format"
	$(Q)clang-format --dry-run -Werror $(C_FILES)

lint-text: tools
	@echo "  LINT  spelling, shell"
	$(Q)codespell --quiet-level=3 --skip='build,.git,tests/cases,tests/fuzz/corpus' --ignore-words=tests/lint/words.txt --ignore-regex='\\[nt][a-z]+' \
		$(LAYERS) docs examples packaging tests Makefile README.md
	$(Q)shellcheck $(SHELL_FILES)

format: tools ## have clang-format write every C file
	clang-format -i $(C_FILES)

# --- files that are generated, and committed ----------------------------------------------------------------------------

SCHEMAS := cluster service agent

# $(1): the folder
define generate
	@mkdir -p $(1)/schema
	@set -e; for s in $(SCHEMAS); do $(O)/dynia schema $$s > $(1)/schema/$$s.json; done
	@$(O)/dynia schema --reference > $(1)/reference.md
	@$(PYTHON) docs/man.py dynia.1 $(O)/dynia > $(1)/dynia.1
endef

schema: all ## write docs/schema/*.json, docs/reference.md and docs/dynia.1 anew
	$(call generate,docs)

generated: all ## fail where generating those files again changes one
	$(call generate,$(O)/generated)
	@for f in schema/cluster.json schema/service.json schema/agent.json reference.md dynia.1; do \
		cmp $(O)/generated/$$f docs/$$f || { echo "run make schema, and commit what it writes" >&2; exit 1; }; done

.PHONY: check contract distributions faults unit corpora e2e golden sanitize fuzz fuzz-run coverage bench bench-fleet demo lint lint-compilers lint-headers \
	lint-layers lint-tidy lint-cppcheck lint-format lint-text programs format schema generated
