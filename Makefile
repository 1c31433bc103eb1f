# One runner.  Every target that needs the set-up does it; a second run of the set-up takes no time.

PYTHON := /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin
ROOT   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What Debian gives: to build the two bindings, the card's side, and what tests hold us against.
PACKAGES := python3-venv python3-dev gcc libc6-dev pkg-config libpcsclite-dev libsystemd-dev \
            pcscd vsmartcard-vpcd opensc openssl openssh-server libengine-pkcs11-openssl iproute2 util-linux systemd systemd-container tzdata chromium \
            swtpm tpm2-tools faketime
STRONGSWAN := charon-systemd strongswan-swanctl libcharon-extra-plugins libstrongswan-standard-plugins

.PHONY: setup demo test check bench dev power test-large vm-test conformity ipsec

setup: $(VENV)/.ready

# sshd is wanted as a program for tests: where it was not there, its service stays masked.
$(VENV)/.ready: pyproject.toml Makefile
	@missing=$$(dpkg-query -W -f='$${db:Status-Abbrev}$${Package}\n' $(PACKAGES) 2>/dev/null | grep '^ii' | cut -c4- \
	  | sort > /tmp/.have-$$$$; printf '%s\n' $(PACKAGES) | sort | comm -23 - /tmp/.have-$$$$; rm -f /tmp/.have-$$$$); \
	if [ -n "$$missing" ]; then \
	  echo "installing:" $$missing; \
	  case "$$missing" in *openssh-server*) $(ROOT) mkdir -p /etc/systemd/system && \
	    $(ROOT) ln -sf /dev/null /etc/systemd/system/ssh.service ;; esac; \
	  $(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get -qq update && \
	  $(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $$missing >/dev/null; \
	fi
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/python firmware-tools/demo

dev: setup
	$(BIN)/python firmware-tools/dev

# Two files of tests at a time: they wait more than they work.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

power: setup
	$(BIN)/python -m pytest -m long tests/power

test-large: setup
	$(BIN)/python -m pytest -m long --ignore=tests/power

# The real units under a systemd of their own, in a container (tests/systemd/machine.py); `make test` runs them too.
vm-test: setup
	$(BIN)/python -m pytest tests/systemd

# The tunnel of docs/ipsec.md, for real.  charon runs in the test alone: where it was not there, its service stays masked.
ipsec: setup
	[ -e /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so ] || $(ROOT) sh -c 'mkdir -p /etc/systemd/system && \
	  ln -sf /dev/null /etc/systemd/system/strongswan.service && apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	  apt-get -qq -y --no-install-recommends install $(STRONGSWAN) >/dev/null'
	$(ROOT) $(BIN)/python -m pytest tests/e2e/test_ipsec.py -rs

conformity: setup
	$(BIN)/python tests/conformity/table.py

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/architecture/sizes.py
	$(BIN)/python docs/draw_architecture.py --check

bench: setup
	$(BIN)/python bench/run.py
