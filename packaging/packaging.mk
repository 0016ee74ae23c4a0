# Installing, manual pages and the Debian package. Included by the Makefile.

PREFIX ?= /usr
DESTDIR ?=
STRIP ?= -s
# Where units and users are declared. Empty: the package's own tools install them.
SYSTEMD ?= $(PREFIX)/lib
REVISION ?= 1

# --- manual pages -------------------------------------------------------------------------------------------------------

# dynia(1) is committed, the pages of the files are not: they say what docs/reference.md does.
FILE_PAGES := agent.yaml cluster.yaml service.yaml
MAN_PAGES := $(FILE_PAGES:%=$(O)/man/dynia-%.5)

$(O)/man/%: docs/man.py $(O)/dynia
	@echo "  MAN   $@"
	$(Q)mkdir -p $(@D) && $(PYTHON) docs/man.py $* $(O)/dynia > $@

man-pages: $(MAN_PAGES)

man: schema man-pages ## docs/dynia.1 and the pages of the files, build/man: written anew

# --- installing -----------------------------------------------------------------------------------------------------------

SHARE := $(DESTDIR)$(PREFIX)/share

install: all man-pages ## DESTDIR=, PREFIX=/usr: program, unit, users, sysctl, manual pages, completion
	install -D -m 0755 $(STRIP) $(O)/dynia $(DESTDIR)$(PREFIX)/bin/dynia
	install -D -m 0644 docs/dynia.1 $(SHARE)/man/man1/dynia.1
	install -d $(SHARE)/man/man5 && install -m 0644 $(MAN_PAGES) $(SHARE)/man/man5/
	install -D -m 0644 packaging/completion/dynia.bash $(SHARE)/bash-completion/completions/dynia
	install -D -m 0644 packaging/completion/_dynia $(SHARE)/zsh/vendor-completions/_dynia
	install -D -m 0644 packaging/completion/dynia.fish $(SHARE)/fish/vendor_completions.d/dynia.fish
	install -D -m 0644 packaging/sysctl.conf $(DESTDIR)$(PREFIX)/lib/sysctl.d/60-dynia.conf
ifneq ($(SYSTEMD),)
	install -D -m 0644 packaging/debian/dynia.service $(DESTDIR)$(SYSTEMD)/systemd/system/dynia.service
	install -D -m 0644 packaging/debian/dynia.sysusers $(DESTDIR)$(SYSTEMD)/sysusers.d/dynia.conf
endif

# --- the Debian package -----------------------------------------------------------------------------------------------------

DEB_TREE := build/deb/dynia-$(VERSION)
DEB_ARCH = $(shell dpkg-architecture -qDEB_HOST_ARCH)
DEB_FILES := $(LAYERS) docs examples packaging tests/tests.mk Makefile README.md
# The same source gives the same package: times are those of the last change to it.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || stat -c %Y Makefile)

# elf-error: what Ubuntu 22.04's lintian says of every -dbgsym, which has the headers of its program and nothing behind them.
deb: tools ## build/deb/dynia_VERSION-REVISION_ARCH.deb, checked by lintian: REVISION=1
	$(Q)rm -rf build/deb && mkdir -p $(DEB_TREE)
	$(Q)cp -a --parents $(wildcard $(DEB_FILES)) $(DEB_TREE)/
	$(Q)cp -a packaging/debian $(DEB_TREE)/debian
	$(Q)sed -i '1s/(.*)/($(VERSION)-$(REVISION))/' $(DEB_TREE)/debian/changelog
	$(Q)cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
		dpkg-buildpackage --build=binary --unsigned-changes --unsigned-source \
		--jobs=$$(nproc) > ../build.log 2>&1 || { tail -n 30 ../build.log >&2; exit 1; }
	lintian --profile debian --suppress-tags elf-error --fail-on error,warning --info --tag-display-limit 0 build/deb/*.changes
	@ls build/deb/dynia_$(VERSION)-$(REVISION)_$(DEB_ARCH).deb

.PHONY: man man-pages install deb
