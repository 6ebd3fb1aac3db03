# maciefs: `make` builds .build/release/maciefs; `make help` lists the rest.
#
# A variant is one set of flags with a folder of its own under .build/: release, asan (address and
# undefined), tsan (thread), fuzz. `make VARIANT=asan` builds that one.

VARIANT ?= release
Q := $(if $(V),,@)# V=1 shows the commands
BUILD := .build/$(VARIANT)
PREFIX ?= /usr/local
VERSION := 0.1.0
ifeq ($(origin CC),default)
CC := gcc
endif

PACKAGES := fuse3 libcurl openssl zlib libdeflate libcjson expat
CPPFLAGS += -Iinclude -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DFUSE_USE_VERSION=314 \
            -DMACIEFS_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PACKAGES))
CFLAGS ?= -O3 -g
CFLAGS += -std=c11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
          -Wpointer-arith -Wformat=2 -fno-strict-aliasing -pthread
LDLIBS += $(shell pkg-config --libs $(PACKAGES)) -pthread

# libsnappy has no pkg-config file; without it maciefs is built all the same and says so.
SNAPPY ?= $(shell printf '\043include <snappy-c.h>\n' | $(CC) -E - >/dev/null 2>&1 && echo yes)
ifeq ($(SNAPPY),yes)
CPPFLAGS += -DHAVE_SNAPPY
LDLIBS += -lsnappy
endif

ifeq ($(VARIANT),release)
CPPFLAGS += -D_FORTIFY_SOURCE=2
CFLAGS += -fstack-protector-strong -fPIE
LDFLAGS += -pie -Wl,-z,relro,-z,now
else ifeq ($(VARIANT),asan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=thread
LDFLAGS += -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
CC := clang
CFLAGS += -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
          -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=fuzzer,address,undefined
endif

SOURCES := $(sort $(wildcard fs/*/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
ifeq ($(VARIANT),asan)
OBJECTS += $(BUILD)/tests/leaks.o
endif
MAIN := $(BUILD)/fs/main.o
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,.build/fuzz/bin/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/bench_*.c))

.PHONY: all help unit-tests fuzzers benches test fuzz bench format lint install uninstall clean
.SECONDARY:

all: $(BUILD)/maciefs

help:
	@echo 'make              build .build/release/maciefs'
	@echo 'make test         run the unit tests'
	@echo 'make fuzz         run every fuzz target for FUZZ_SECONDS (default 600) each'
	@echo 'make bench        measure, and print the table'
	@echo 'make format       lay out the C code with clang-format'
	@echo 'make install      install into PREFIX (default /usr/local) and mount(8)'"'"'s helper into /sbin'

$(BUILD)/maciefs: $(MAIN) $(OBJECTS)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo '$(VARIANT)  $<'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

unit-tests: $(UNIT_TESTS)

benches: $(BENCHES)

# cmocka's own closing lines tell how many ran.
test: $(UNIT_TESTS)
	@tests/unit/run $(UNIT_TESTS)

ifeq ($(VARIANT),fuzz)
.build/fuzz/bin/%: $(BUILD)/tests/fuzz/%.o $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)
fuzzers: $(FUZZERS)
else
fuzzers:
	+$(MAKE) VARIANT=fuzz fuzzers
endif

FUZZ_SECONDS ?= 600
fuzz: fuzzers
	tests/fuzz/run $(FUZZ_SECONDS)

bench: all benches
	tests/bench/run

CODE = $(shell find fs include tests -name '*.[ch]')
format:
	clang-format -i $(CODE)

lint:
	clang-format --dry-run -Werror $(CODE)

install: all
	install -D -m 755 $(BUILD)/maciefs $(DESTDIR)$(PREFIX)/bin/maciefs
	install -d $(DESTDIR)/sbin
	ln -sf $(PREFIX)/bin/maciefs $(DESTDIR)/sbin/mount.fuse.maciefs
	install -D -m 644 scripts/maciefs.1 $(DESTDIR)$(PREFIX)/share/man/man1/maciefs.1
	install -D -m 644 scripts/completions/maciefs.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/maciefs
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/maciefs/systemd scripts/systemd/*
	cd scripts && find wazuh -type f -exec \
	    install -D -m 644 {} $(abspath $(DESTDIR)$(PREFIX)/share/doc/maciefs)/{} \;

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/maciefs $(DESTDIR)/sbin/mount.fuse.maciefs \
	    $(DESTDIR)$(PREFIX)/share/man/man1/maciefs.1 \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/maciefs
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/maciefs

clean:
	rm -rf .build

# Of tests and benches as well.
-include $(shell find $(BUILD) -name "*.d" 2>/dev/null)
