# Thin aliases; every target shows the command that it runs.
PYTHON ?= python3
CORES ?= all
CODE := src workflow envs tests benchmarks
# Every job is a program of its own: compiled modules are kept, or each job compiles them anew.
export PYTHONDONTWRITEBYTECODE :=
# The environment's programs come first on the search path.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: all demo test lint bench docs env clean

all demo: env
	snakemake --cores $(CORES) all
	@echo "The report: $(CURDIR)/results/demo/report.html"

test: env
	python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: env
	ruff check $(CODE)
	ruff format --check $(CODE)
	snakefmt --check Snakefile workflow/rules
	snakemake --lint
	python workflow/scripts/config_docs.py --check

bench: demo
	python -m pip install --quiet scikit-learn  # what the plain way of preparation.py uses
	for program in $(filter-out benchmarks/plain_%,$(wildcard benchmarks/*.py)); do echo "## $$program"; python "$$program" || exit 1; done

docs: env
	python workflow/scripts/config_docs.py

env:
	@$(PYTHON) envs/install.py

clean:
	rm -rf results work logs .snakemake
