# One command a task; `make` alone lists them. All of them use the environment in .venv, made on first use.
.DEFAULT_GOAL := help
.PHONY: help run ablations test notebooks lab demo docs bench pretrain lint env lock fuzz chaos check-lab check-gpu test-dependencies

BIN := .venv/bin
READY := .venv/.ready
unexport PYTHONDONTWRITEBYTECODE # without bytecode each kernel and worker compiles PyTorch's modules for seconds

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

run: env ## run the five notebooks without network or data sets, into runs/offline (index.html is the report)
	$(BIN)/metauas run --params params/offline.yaml --out runs/offline

# the factors that a machine without GPU, network or data sets can run
OFFLINE := alignment similarity stages fusion decoder freezing kinds pairs resolution prompt pool-size shots defective

ablations: env ## run every offline ablation under three seeds, into runs/ablations/offline; a stopped run continues later
	$(BIN)/metauas sweep $(OFFLINE) --scale offline --seeds 1,3,5 --out runs/ablations/offline --report

# all notebooks, the slowest first
NOTEBOOKS := $(addprefix notebooks/,03_*.ipynb 05_*.ipynb 04_*.ipynb explorer.ipynb 0[12]_*.ipynb index.ipynb)
PYTEST := OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: lint ## lint, then every test, then every notebook
	$(PYTEST)
	$(PYTEST) -p nbval --nbval-lax --nbval-current-env --nbval-cell-timeout=300 $(NOTEBOOKS)

fuzz: env ## 10,000 damaged files for every reader, a benchmark in 250 variants; `make test` takes a sample
	folder=$$(mktemp -d) && export OMP_NUM_THREADS=1 && \
		$(BIN)/python tests/fuzz/variants.py --count 250 --work $$folder/variants && \
		$(BIN)/python tests/fuzz/fuzz.py --count 10000 --work $$folder/damaged

chaos: env ## 50 random kills of synthesis, training, evaluation, segmentation and a sweep; `make test` takes a few
	folder=$$(mktemp -d) && OMP_NUM_THREADS=1 $(BIN)/python tests/chaos/chaos.py --kills 50 --work $$folder

notebooks: env ## execute the notebooks in place, as they are committed
	TQDM_DISABLE=1 $(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace \
		--ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb

check-lab: env ## every notebook in JupyterLab, in a real Chromium, from a clean kernel: no error, no warning
	folder=$$(mktemp -d) && $(BIN)/python tests/lab/lab.py --work $$folder/lab

lab: env ## open the notebooks in JupyterLab, at their guide notebooks/index.ipynb
	$(BIN)/jupyter lab notebooks/index.ipynb

demo: env ## the explorer as a web page on this computer; METAUAS_CHECKPOINT names another network
	$(BIN)/voila --Voila.config_file_paths=demo notebooks/explorer.ipynb

docs: env ## build the book into site/: tutorials, executed notebooks, API reference; links are checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: env ## measure speed and memory against references (ten minutes on two cores), into docs/speed.md
	$(BIN)/python benchmarks/run.py

check-gpu: env ## check maps, training and speed on a CUDA device in a few minutes; without one, say so
	$(BIN)/python benchmarks/check_gpu.py

pretrain: env ## train the released weights of lite from a seed (an hour on two cores), and measure them for their card
	$(BIN)/metauas train --params params/pretrain.yaml --out runs/pretrain
	cp runs/pretrain/checkpoint/* metauas/released/lite/
	$(BIN)/python benchmarks/released.py --card

lint: env ## ruff and mypy, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --num-workers 2

env: $(READY)

# A CPU build of torch saves 5 GB where no NVIDIA driver is and PyTorch's own index answers; versions are the lock's.
CPU_BUILD = grep '^torch==' requirements.lock | UV_HTTP_RETRIES=0 $(BIN)/uv pip compile --quiet --no-deps --no-cache \
	--torch-backend cpu - >/dev/null 2>&1

# redone only if the pinned versions or the package's own metadata changed
$(READY): requirements.lock pyproject.toml
	python3 -m venv .venv
	$(BIN)/pip install --quiet uv
	@if [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && $(CPU_BUILD); then \
		echo "no NVIDIA driver: PyTorch's CPU build"; \
		grep -vE '^(nvidia-|cuda-|triton==)' requirements.lock > .venv/cpu.lock; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend cpu -r .venv/cpu.lock; \
	else \
		echo "PyTorch's default build"; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock; \
	fi
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	$(BIN)/python -c "import timm, metauas.synthesis, metauas.train, metauas.eval" # writes their bytecode
	touch $@

RESOLUTION := lowest-direct
QUICK := tests/metrics tests/model tests/test_cli.py tests/test_images.py tests/test_settings.py tests/synthesis/test_pairs.py

test-dependencies: env ## the quick tests with the oldest dependencies allowed; RESOLUTION=highest takes the newest
	folder=$$(mktemp -d) && trap "rm -rf $$folder" EXIT && python3 -m venv $$folder/venv && \
		$(BIN)/uv pip compile --quiet --resolution $(RESOLUTION) pyproject.toml --all-extras --group dev \
			-o $$folder/requirements.txt && \
		$(BIN)/uv pip install --quiet --python $$folder/venv/bin/python -r $$folder/requirements.txt && \
		$(BIN)/uv pip install --quiet --python $$folder/venv/bin/python --no-deps -e . && \
		OMP_NUM_THREADS=1 $$folder/venv/bin/python -m pytest -n 2 --dist loadfile -o filterwarnings=default $(QUICK)

lock: ## pin what pyproject.toml asks for into requirements.lock, keeping pins that still fit
	$(BIN)/uv pip compile --universal -p 3.11 pyproject.toml --all-extras --group dev \
		-o requirements.lock --no-annotate --no-header
