# instance_env
#
#   make, make install    build it, install it, for the server that PG_CONFIG names;
#                         WERROR=1, as in make test, makes every warning an error
#   make installcheck     test what is installed, against a running server
#   make demo, make test  the same and all set-up, from a machine with nothing
#                         installed; PG_CONFIG selects the server here, too
#   make test-citus       the tests of test/citus, on the server with Citus whose pg_config is
#                         named by CITUS_PG_CONFIG; a part of make test
#   make test-matrix      the tests on other majors of PostgreSQL, each in a root of its
#                         own; VERSIONS="17" selects some
#   make bench            what guarding a table costs; ONLY, SCALE and REPEAT make it
#                         shorter, see test/bench/run
#   make bench-citus      the same on a cluster of Citus; see test/bench/citus
#   make indent           format src/ as PostgreSQL formats its own source
#   make dist             the archive for PGXN, of what is committed

EXTENSION = instance_env

# As PGXS has it, make may run in a folder of its own, with VPATH=FOLDER or -f FOLDER/Makefile.
# What is made goes there, and the folder of the sources is only read.
source := $(patsubst %/,%,$(or $(VPATH),$(dir $(firstword $(MAKEFILE_LIST)))))
ifeq ($(realpath $(source)),$(realpath $(CURDIR)))
source := .
else
out_of_tree := yes
endif
# the files of these patterns, by their names within the sources
files = $(patsubst $(source)/%,%,$(sort $(wildcard $(addprefix $(source)/,$(1)))))

# The version is written in the control file, and nowhere else.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(source)/$(EXTENSION).control)

MODULE_big = $(EXTENSION)
OBJS := $(patsubst %.c,%.o,$(call files,src/*.c src/*/*.c))
OWN_HEADERS := $(addprefix $(source)/,$(call files,src/*.h src/*/*.h))
PGFILEDESC = "$(EXTENSION) - development and production instances"
PG_CPPFLAGS = -DIENV_VERSION='"$(EXTVERSION)"' -I$(source)/src
# A compiler that is newer than this must not keep anybody from building it.
PG_CFLAGS = $(if $(WERROR),-Werror) -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare

# Who owns a domain is told by the Public Suffix List, through libpsl.
override SHLIB_LINK += -lpsl

# The install script is put together from sql/parts: a part for each room of src, each after
# those that it needs, and then the rights.  What needs a later part, stands at the end of its
# own part, below a line that begins with "-- After all parts:"; it is moved to before the
# rights.  The parts are those of the newest version; what upgrades an older one is in sql/.
ROOMS = base registry table config cap transfer domain guard policy session promotion report
PARTS = $(ROOMS:%=$(source)/sql/parts/%.sql) $(source)/sql/parts/rights.sql
INSTALL_SQL = sql/$(EXTENSION)--$(EXTVERSION).sql
DELTAS := $(call files,sql/$(EXTENSION)--*--*.sql)

DATA := $(DELTAS)
DATA_built = $(INSTALL_SQL)
DOCS := $(call files,doc/*.md)

ifeq ($(and $(EXTVERSION),$(OBJS)),)
$(error There are no sources in $(source): name their folder, VPATH=FOLDER)
endif
FOUND_PARTS := $(wildcard $(source)/sql/parts/*.sql)
ifneq ($(sort $(PARTS)),$(sort $(FOUND_PARTS)))
$(error These are only one of listed here and found in sql/parts: \
	$(notdir $(filter-out $(PARTS),$(FOUND_PARTS)) $(filter-out $(FOUND_PARTS),$(PARTS))))
endif

REGRESS = $(patsubst test/sql/%.sql,%,$(call files,test/sql/*.sql))
REGRESS_OPTS = --inputdir=$(source)/test --load-extension=$(EXTENSION)
ISOLATION = $(patsubst test/specs/%.spec,%,$(call files,test/specs/*.spec))
ISOLATION_OPTS = --inputdir=$(source)/test --outputdir=. --load-extension=$(EXTENSION)
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl

# also what was built from sources that are elsewhere since
EXTRA_CLEAN = .built-with results regression.diffs regression.out tmp_check \
	$(wildcard src/*.o src/*.bc src/*/*.o src/*/*.bc) $(EXTENSION)-*.zip \
	$(filter-out $(DELTAS),$(wildcard sql/$(EXTENSION)--*.sql*))

PG_CONFIG ?= pg_config
export PG_CONFIG

.PHONY: all compiler demo test test-citus test-matrix bench bench-citus indent dist
all:

$(INSTALL_SQL): $(PARTS) $(source)/$(EXTENSION).control $(source)/Makefile
	@mkdir -p $(@D)
	@{ printf '%s\n' '/* $@ */' '' \
		'-- complain if the script is sourced in psql, rather than via CREATE EXTENSION' \
		'\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit' '' \
		'-- make has put this together from sql/parts: changes belong there.' && \
	awk 'FNR == 1 { below = 0; print "" } \
		/^-- After all parts:/ { below = 1; last = last "\n" } \
		below { last = last $$0 "\n"; next } \
		{ print } \
		END { print last }' $(ROOMS:%=$(source)/sql/parts/%.sql) && \
	cat $(source)/sql/parts/rights.sql; } >$@.new
	@mv $@.new $@

# pg_regress looks for expected/ where it runs.
ifdef out_of_tree
REGRESS_PREP = expected
EXTRA_CLEAN += expected
expected:
	ln -s $(abspath $(source))/expected $@
endif

# The archive for PGXN has the install script, too, since META.json names it.
DIST = $(EXTENSION)-$(EXTVERSION).0
dist: $(INSTALL_SQL)
	@test -z "$$(git -C $(source) status --porcelain)" || { \
		echo 'The archive is made of what is committed: commit, or stash, the rest first' >&2; exit 1; }
	git -C $(source) archive --format=zip --output=$(CURDIR)/$(DIST).zip \
		--prefix=$(DIST)/sql/ --add-file=$(CURDIR)/$(INSTALL_SQL) --prefix=$(DIST)/ HEAD

# These come before PGXS, which they may have to install.  TESTS can name the test
# files to run; without it, all are.
BUILT = test/bin/as-user test/bin/with-build

demo:
	@WERROR= test/bin/setup $(BUILT) test/bin/with-server test/bin/demo

test:
	@test/bin/setup -t -w chromium=chromium $(BUILT) test/bin/with-server -c 'max_prepared_transactions = 20' \
		-c 'wal_level = logical' -c "shared_preload_libraries = 'instance_env'" \
		test/bin/run-tests $(TESTS)
	@$(if $(TESTS),:,$(MAKE) --no-print-directory test-citus)

# Citus may be found on a server of its own, whose pg_config CITUS_PG_CONFIG names.
test-citus:
ifdef CITUS_PG_CONFIG
	@PG_CONFIG='$(CITUS_PG_CONFIG)' $(BUILT) test/bin/run-tests $(or $(TESTS),$(call files,test/citus/*.pl))
else
	@echo 'test/citus: skipped: set CITUS_PG_CONFIG to the pg_config of a server with Citus'
endif

test-matrix:
	@test/bin/test-matrix $(VERSIONS)

bench:
	@test/bin/setup -w valgrind=valgrind -w gnuplot=gnuplot-nox test/bench/run

bench-citus:
	@PG_CONFIG='$(CITUS_PG_CONFIG)' $(BUILT) test/bin/with-cluster -c 'autovacuum = off' test/bench/citus

indent:
	@test/bin/setup -w pg_bsd_indent=pg-bsd-indent test/bin/indent

PGXS := $(wildcard $(shell '$(PG_CONFIG)' --pgxs 2>/dev/null))

ifeq ($(PGXS),)

all install installcheck clean compiler:
	@echo 'PG_CONFIG=$(PG_CONFIG) leads to no PGXS: install the development files of a' >&2
	@echo 'server (on Debian, postgresql-server-dev-N), or name its pg_config' >&2
	@exit 1

else

# A server built with LLVM asks for bitcode.  It is only good for inlining by the JIT
# compiler, so do without it where the tools that make it are absent.
LLVM_MISSING := $(shell for tool in $$(sed -n 's/^CLANG *= *//p; \
	s,^LLVM_BINPATH *= *\(.*\),\1/llvm-lto,p' $(dir $(PGXS))../Makefile.global); \
	do command -v $$tool >/dev/null || echo $$tool; done)
ifneq ($(LLVM_MISSING),)
override with_llvm = no
endif

include $(PGXS)

# The folder that PGXS puts documents into is all extensions'.
docmoduledir := $(EXTENSION)

# A server that was built with gcc hands on options, and has headers, that clang warns of.
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
override CFLAGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-ignored-attributes
endif

# Only sources are looked for in their folder, not what another build has left there.
srcdir := $(source)
override VPATH :=
vpath %.c $(source)
vpath %.control $(source)

# What was built for another server, or with other options, is built again.
BUILT_WITH = $(strip $(VERSION) $(CC) $(CPPFLAGS) $(CFLAGS))
ifneq ($(BUILT_WITH),$(shell cat .built-with 2>/dev/null))
.PHONY: .built-with
endif
.built-with:
	$(compile_header)
	@echo '$(subst ','\'',$(BUILT_WITH))' >$@

$(OBJS) $(OBJS:.o=.bc): $(OWN_HEADERS) .built-with | $(sort $(dir $(OBJS)))
$(sort $(dir $(OBJS))):
	@mkdir -p $@

# PGXS may be there without the headers: Debian has it in the package of the client programs.
# Where they or those of libpsl are not found, or there is no compiler, it is said here what to
# install.
define compile_header
@echo '#include "postgres.h"' | $(CC) $(CPPFLAGS) -w -fsyntax-only -x c - || { \
	echo 'postgres.h cannot be compiled: install a C compiler and the development files of' >&2; \
	echo 'the server (on Debian, gcc, libc6-dev and postgresql-server-dev-$(MAJORVERSION)), or name' >&2; \
	echo 'the pg_config of another: PG_CONFIG=$(PG_CONFIG)' >&2; \
	exit 1; }
@echo '#include <libpsl.h>' | $(CC) $(CPPFLAGS) -w -fsyntax-only -x c - || { \
	echo 'libpsl.h cannot be compiled: install the development files of libpsl (on Debian,' >&2; \
	echo 'libpsl-dev)' >&2; \
	exit 1; }
endef

# asked by test/bin/setup
compiler:
	$(compile_header)

endif
