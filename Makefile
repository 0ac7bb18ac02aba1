# The commands a fresh machine needs: `make demo` and `make test`. `make help` lists all.

VENV := .venv
CORE := .venv-core
BIN := $(VENV)/bin
CONSTRAINTS := resources/constraints.txt

APT_PACKAGES := xvfb xauth libgl1 libgl1-mesa-dri libegl1 libopengl0 libglib2.0-0 libdbus-1-3 \
	libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-glx0 libxcb-icccm4 libxcb-image0 \
	libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 \
	libxcb-xfixes0 libxcb-xinerama0 libxcb-xkb1
LIBRARIES := libGL.so.1 libEGL.so.1 libOpenGL.so.0 libgthread-2.0.so.0 libdbus-1.so.3 \
	libfontconfig.so.1 libxkbcommon-x11.so.0 libxcb-cursor.so.0 libxcb-glx.so.0 \
	libxcb-icccm.so.4 libxcb-image.so.0 libxcb-keysyms.so.1 libxcb-randr.so.0 \
	libxcb-render-util.so.0 libxcb-shape.so.0 libxcb-shm.so.0 libxcb-sync.so.1 \
	libxcb-xfixes.so.0 libxcb-xinerama.so.0 libxcb-xkb.so.1

# Lines of shell: `missing` collects what this machine lacks, `provide` brings it or says how.
FIND_LIBRARIES = known=$$(PATH="$$PATH:/usr/sbin:/sbin" ldconfig -p); missing=; \
	for name in $(LIBRARIES); do \
		case "$$known" in *"$$name"*) ;; *) missing="$$missing $$name" ;; esac; \
	done
FIND_XVFB = for name in Xvfb xvfb-run xauth; do \
		command -v $$name >/dev/null || missing="$$missing $$name"; \
	done
APT_INSTALL = echo "Installing what is missing:$$missing"; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(APT_PACKAGES) </dev/null >/dev/null
MAY_INSTALL = [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null
SAY_MISSING = echo "Missing:$$missing. Install them as root: apt-get install $(APT_PACKAGES)" >&2
XVFB_RUN := xvfb-run -a -s "-screen 0 1600x1000x24 +extension GLX"

WINDOWS ?= gui

export SCAN
# Hundreds of processes import the same libraries: what one compiled the others find.
unexport PYTHONDONTWRITEBYTECODE

# One thing after the other, except where a rule asks for two at once.
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif
.PHONY: help venv demo test lint test-quick test-children test-core test-napari test-gui test-pyqt5 test-pyqt6 display clean

help:
	@echo "make demo            show the plugin at work; without a display it runs headless"
	@echo "make demo SCAN=PATH  the same on your own file or DICOM folder"
	@echo "make test            every check: style, types, contracts, core, napari, PyQt5, PyQt6"
	@echo "make lint            style, types and contracts only"
	@echo "make venv            create $(VENV) with everything for both"
	@echo "make clean           remove the environments, caches and build products"

venv: $(VENV)/.stamp

$(VENV)/.stamp: pyproject.toml $(CONSTRAINTS)
	@python=; for one in python3.11 python3 python; do \
		if $$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			python=$$one; break; \
		fi; \
	done; \
	if [ -z "$$python" ]; then echo "Python 3.11 or newer is needed." >&2; exit 1; fi; \
	$$python -m venv $(VENV)
	@echo "Installing napari-crii and what it needs into $(VENV); this takes some minutes once."
	@$(BIN)/python -m pip install -q --no-compile -c $(CONSTRAINTS) hatchling editables
	@$(BIN)/python -m pip install -q --no-compile -c $(CONSTRAINTS) --no-build-isolation \
		-e ".[pyqt5,pyqt6,demo,dev]"
	@touch $@

# The core must run where neither Qt nor napari is installed: a hard-linked copy of the
# environment from which they are uninstalled costs seconds and no space.
$(CORE)/.stamp: $(VENV)/.stamp tests/packaging/core_env.py
	@rm -rf $(CORE)
	@cp -al $(VENV) $(CORE) 2>/dev/null || { rm -rf $(CORE) && cp -a $(VENV) $(CORE); }
	@rm -f $@
	@$(CORE)/bin/python tests/packaging/core_env.py
	@touch $@

demo: $(VENV)/.stamp
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v ldconfig >/dev/null; then \
		$(FIND_LIBRARIES); \
		if [ -n "$$missing" ]; then \
			{ $(MAY_INSTALL) && { $(APT_INSTALL); }; } || $(SAY_MISSING); \
		fi; \
	fi
	@$(BIN)/napari-crii demo $${SCAN:+"$$SCAN"}

display:
	@$(FIND_LIBRARIES); $(FIND_XVFB); \
	if [ -n "$$missing" ]; then \
		if $(MAY_INSTALL); then $(APT_INSTALL); else $(SAY_MISSING); exit 1; fi; \
	fi

test: display test-quick test-children test-core test-gui

# What takes one core each, side by side.
test-quick: $(VENV)/.stamp $(CORE)/.stamp
	@$(MAKE) --no-print-directory SIDE_BY_SIDE=1 -j2 --output-sync=target lint test-napari

lint: $(VENV)/.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test-core: $(CORE)/.stamp
	OMP_NUM_THREADS=1 $(CORE)/bin/python -m pytest -n 2 --ignore=tests/widgets \
		-m "not gui and not napari and not alone"

test-children: $(CORE)/.stamp
	$(CORE)/bin/python -m pytest -n 2 --ignore=tests/widgets \
		-m "alone and not gui and not napari"

test-napari: $(VENV)/.stamp
	$(BIN)/python -m pytest -m "napari and not gui" -p no:pytest-qt

# The windows of both bindings side by side, each on a screen of its own: what depends on the
# binding with both, the rest by turns.
test-gui: $(VENV)/.stamp display
	@$(MAKE) --no-print-directory SIDE_BY_SIDE=1 -j2 --output-sync=target \
		TURNS=1 WINDOWS="gui and not alone" test-pyqt5 test-pyqt6
	@$(MAKE) --no-print-directory SIDE_BY_SIDE=1 -j2 --output-sync=target \
		TURNS=1 WINDOWS="gui and alone" test-pyqt5 test-pyqt6

test-pyqt5 test-pyqt6: test-%: $(VENV)/.stamp display
	QT_API=$* PYTEST_QT_API=$* $(if $(TURNS),NAPARI_CRII_TURN=$*) \
		$(XVFB_RUN) $(BIN)/python -m pytest -m "$(WINDOWS)"

clean:
	rm -rf $(VENV) $(CORE) build dist .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis
	find napari_crii tests -name __pycache__ -type d -prune -exec rm -rf {} +
