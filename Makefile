# Dynia. `make help` lists the targets.

VERSION := 0.1.0
BUILD ?= release
CC ?= cc
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

# The program of the default build is build/dynia; other builds live beside it, each in a folder of its own.
O := build$(if $(filter-out release,$(BUILD)),/$(BUILD))

PKGS := libgit2 yaml-0.1 jansson libcurl libssl libcrypto libmicrohttpd
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wwrite-strings -Werror
CPPFLAGS_ALL = -D_GNU_SOURCE -DDYNIA_VERSION='"$(VERSION)"' -I. -include base/banned.h $(PKG_CFLAGS) $(CPPFLAGS)
# Ubuntu's compilers, and those that build packages, have defined _FORTIFY_SOURCE already.
FORTIFY := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CFLAGS_release := -O2 -g $(FORTIFY) -fstack-protector-strong -fPIE -ffunction-sections -fdata-sections
LDFLAGS_release := -pie -Wl,-z,relro,-z,now,--gc-sections
CFLAGS_debug := -O0 -g3
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_cover := -O0 -g --coverage
LDFLAGS_cover := --coverage
CFLAGS_ALL = -std=gnu17 $(WARN) $(CFLAGS_$(BUILD)) $(CFLAGS)
LDFLAGS_ALL = $(LDFLAGS_$(BUILD)) $(LDFLAGS)

# Resolved when a compiler is first run, so that `make demo` can install the packages before.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)

LAYERS := base spec gitsync render bootstrap reconciler cli
LIB_SRC := $(foreach d,$(filter-out cli,$(LAYERS)),$(sort $(wildcard $(d)/*.c)))
CLI_SRC := $(sort $(wildcard cli/*.c))
UNIT_SRC := $(sort $(wildcard tests/unit/*_test.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
HEADERS := $(foreach d,$(LAYERS),$(sort $(wildcard $(d)/*.h)))
C_FILES := $(LIB_SRC) $(CLI_SRC) $(sort $(wildcard tests/*/*.c)) $(HEADERS) $(sort $(wildcard tests/*/*.h))

LIB_OBJ := $(LIB_SRC:%.c=$(O)/obj/%.o)
CLI_OBJ := $(CLI_SRC:%.c=$(O)/obj/%.o)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(O)/unit/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(O)/fuzz/%)
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(O)/bench/%)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: $(O)/dynia ## build the program: build/dynia

$(O)/dynia: $(CLI_OBJ) $(O)/libdynia.a
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

$(O)/libdynia.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/obj/%.o: %.c | tools
	$(Q)mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(O)/unit/%: $(O)/obj/tests/unit/%.o $(O)/libdynia.a
	$(Q)mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS) -lcmocka

$(O)/bench/%: $(O)/obj/tests/bench/%.o $(O)/libdynia.a
	$(Q)mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(PKG_LIBS)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

include tests/tests.mk
include packaging/packaging.mk

clean: ## remove everything that was built
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  BUILD=debug|asan|cover|release  V=1  KEEP=1 (demo)"

.PHONY: all clean help tools
