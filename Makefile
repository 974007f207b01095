SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROFILE ?= fashion
PY := .venv/bin/python
INSTALLED := .venv/installed
# `--option value` if VARIABLE=value was given to make; a variable of the environment, such as NAME, does not count
option = $(if $(filter command,$(origin $(2))),--$(1) "$($(2))")

.PHONY: help book test run sweep adopt pretrain zoo bench clean

help: ## list the targets
	@sed -n -E 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS=$$'\t' read -r target text; do printf '%-10s %s\n' "$$target" "$$text"; done

book: $(INSTALLED) ## run what has changed and build the HTML book: PROFILE=fashion|cifar10|imagefolder|imagenet-vitb [ENCODERS="custom/a custom/b"] [DATA=/path/to/folder] [PARAMETERS="images=64"] [WORKERS=2] [DRY=1]
	$(PY) -m lib.study book --profile "$(PROFILE)" $(call option,encoders,ENCODERS) $(call option,data,DATA) $(call option,workers,WORKERS) $(if $(DRY),--dry) $(PARAMETERS)

test: $(INSTALLED) ## run the tests
	$(PY) -m pytest

run: given-NOTEBOOK $(INSTALLED) ## run one notebook: NOTEBOOK=self_attention [PARAMETERS="images=64 encoders=a,b"] [PROFILE=fashion] [FORCE=1]
	$(PY) -m lib.study run "$(NOTEBOOK)" --profile "$(PROFILE)" $(if $(FORCE),--force) $(PARAMETERS)

sweep: given-ENCODERS $(INSTALLED) ## run notebooks x encoders in parallel and compare them: ENCODERS="custom/a custom/b" [NOTEBOOKS="fourier similarity"] [WORKERS=2] [SCHEDULER=tcp://…] [PROFILE=fashion] [DATA=/path/to/folder]
	$(PY) -m lib.study sweep --encoders "$(ENCODERS)" --profile "$(PROFILE)" $(call option,notebooks,NOTEBOOKS) $(call option,workers,WORKERS) \
	  $(call option,scheduler,SCHEDULER) $(call option,data,DATA)

adopt: given-SOURCE given-NAME $(INSTALLED) ## make an encoder, custom/NAME, from other weights: SOURCE=timm:NAME|hf-hub:OWNER/NAME|/path/to/file NAME=… [FAMILY=CL|MIM|other] [ARCH=…] [HEADS=…] [POOLING=…] [INPUT_SIZE=…] [SHA256=…]
	$(PY) -m lib.encoders "$(SOURCE)" --name "$(NAME)" $(call option,arch,ARCH) $(call option,heads,HEADS) $(call option,family,FAMILY) \
	  $(call option,pooling,POOLING) $(call option,method,METHOD) $(call option,input-size,INPUT_SIZE) $(call option,sha256,SHA256)

pretrain: given-METHOD $(INSTALLED) ## train an encoder, or continue after a stop: METHOD=moco-v3 [SIZE=s] [DATA=imagenette|/path/to/folder] [STEM=convolutional] [ARCH=vit_base_patch16_224] [IMAGES=…] [BATCH_SIZE=64] [LEARNING_RATE=1e-3] [WEIGHT=…] [SEED=0] [NAME=…]
	$(PY) -m lib.pretrain "$(METHOD)" $(call option,size,SIZE) $(call option,data,DATA) $(call option,stem,STEM) $(call option,arch,ARCH) $(call option,images,IMAGES) \
	  $(call option,batch-size,BATCH_SIZE) $(call option,learning-rate,LEARNING_RATE) $(call option,weight,WEIGHT) $(call option,seed,SEED) $(call option,name,NAME)

zoo: $(INSTALLED) ## train every encoder of the study that is missing, in order; run again to continue after a stop: GROUP=fashion|imagenette [DATA=/path/to/photographs] [JOBS=2] [DRY=1]
	$(PY) -m lib.pretrain.zoo "$(or $(GROUP),imagenette)" $(call option,data,DATA) $(call option,jobs,JOBS) $(if $(DRY),--dry)

bench: $(INSTALLED) ## measure the speed of trainings, probes and attributions on this machine, in about four minutes
	KINETO_LOG_LEVEL=9 $(PY) -m lib.bench

clean: ## remove what `make` builds, except .venv, trained encoders and result tables
	rm -rf build .pytest_cache .hypothesis .ruff_cache
	find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

EXAMPLE_METHOD := make pretrain METHOD=moco-v3
EXAMPLE_NOTEBOOK := make run NOTEBOOK=self_attention
EXAMPLE_ENCODERS := make sweep ENCODERS='fashion/moco-v3-s fashion/simmim-s'
EXAMPLE_SOURCE := make adopt SOURCE=timm:vit_small_patch16_224.dino NAME=dino-s
EXAMPLE_NAME := $(EXAMPLE_SOURCE)

given-%:
	@test -n "$($*)" || { echo "$* is missing: write for example $(EXAMPLE_$*)" >&2; exit 2; }

$(INSTALLED): requirements.lock
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is needed, found $$("$(PYTHON)" --version 2>/dev/null || echo none): install it, or give its path, make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.lock
	@touch $@
