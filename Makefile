SHELL := bash
.SHELLFLAGS := -euf -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
INSTALLED := .venv/installed
DEVICES := DEVICE PRECISION
# What is given to make as VARIABLE=value reaches a command as an environment variable, GIVEN_VARIABLE, never as text: quotes, backticks and dollars
# in it are neither make's nor the shell's.
GIVEN := $(foreach variable,$(.VARIABLES),$(if $(filter command,$(origin $(variable))),$(variable)))
$(foreach variable,$(GIVEN),$(eval export override GIVEN_$(variable) := $$(value $(variable))))
unexport $(GIVEN)
# where encoders compute is read from the environment itself
$(foreach variable,$(filter $(DEVICES),$(GIVEN)),$(eval export override $(variable) := $$(value $(variable))))
# the value that was given, or that of the environment
given = "$${GIVEN_$(1)-$${$(1)-}}"
# `--option=value` if VARIABLE=value was given; a variable of the environment, such as NAME, does not count
option = $(if $(filter $(2),$(GIVEN)),"--$(1)=$$GIVEN_$(2)")
# `--option` if VARIABLE=1 was given; VARIABLE=0 says no
flag = $(if $(filter $(2),$(GIVEN)),$(if $(filter-out 0 no false,$(value $(2))),--$(1)))
# refuse what a target would not read: $(call only,ENCODERS DATA)
only = $(foreach name,$(filter-out PYTHON $(1),$(GIVEN)),$(error $@ knows no $(name)=; \
  $(shell python3 -c 'import difflib, sys; print(*(f"did you mean {n}=?" for n in difflib.get_close_matches(sys.argv[1], sys.argv[2:], 1)))' $(name) $(1)) it takes $(or $(1),nothing)))
COMPUTE := PROFILE WORKERS SCHEDULER FORCE $(DEVICES)
compute = $(profile) $(call option,workers,WORKERS) $(call option,scheduler,SCHEDULER) $(call flag,force,FORCE)
ADOPT := SOURCE NAME FAMILY ARCH HEADS NORMALISATION POOLING STEM ENTRY METHOD INPUT_SIZE SHA256 DEVICE
profile = --profile "$${GIVEN_PROFILE-$${PROFILE-fashion}}"
# words such as images=64, apart
parameters = $(if $(filter PARAMETERS,$(GIVEN)),$$GIVEN_PARAMETERS)

.PHONY: help book pdf lab verify test run sweep adopt compare pretrain zoo bench clean

help: ## list the targets
	@sed -n -E 's/^([a-z]+):.*## (.*)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS=$$'\t' read -r target text; do printf '%-10s %s\n' "$$target" "$$text"; done

book: $(INSTALLED) ## run what has changed and build the HTML book: PROFILE=fashion|cifar10|imagefolder|imagenet-vitb [ENCODERS="custom/a custom/b"] [DATA=/path/to/folder] [PARAMETERS="images=64"] [WORKERS=2] [SCHEDULER=tcp://…] [FORCE=1] [DRY=1] [DEVICE=auto|cpu|cuda|cuda:1|mps] [PRECISION=exact|fast]
	$(call only,$(COMPUTE) ENCODERS DATA PARAMETERS DRY)
	$(PY) -m lib book $(compute) $(call option,encoders,ENCODERS) $(call option,data,DATA) $(call flag,dry,DRY) $(parameters)

pdf: $(INSTALLED) ## print the book that `make book` has built into one file (needs Chromium): [PROFILE=fashion]
	$(call only,PROFILE)
	$(PY) -m lib.report.pdf $(profile)

verify: $(INSTALLED) ## are the tables of this machine's run those of the repository? PROFILE=fashion [AGAINST=commit|/path/to/results]
	$(PY) -m lib.report.verify $(profile) $(call option,against,AGAINST)

lab: $(INSTALLED) ## build the notebooks of the lab for students, with solutions, for lecturers, in build/lab: [REPOSITORY=https://github.com/OWNER/NAME] [GRADER=1]; or grade what students hand in: GRADE=/path/to/folder
	$(call only,REPOSITORY GRADE GRADER)
	$(PY) -m lib.lab $(call option,repository,REPOSITORY) $(call option,grade,GRADE) $(call flag,grader,GRADER)

test: $(INSTALLED) ## run the tests
	$(call only)
	$(PY) -m pytest

run: given-NOTEBOOK $(INSTALLED) ## run one notebook: NOTEBOOK=self_attention [PARAMETERS="images=64 encoders=a,b"] [PROFILE=fashion] [SCHEDULER=tcp://…] [FORCE=1]
	$(call only,$(COMPUTE) NOTEBOOK PARAMETERS)
	$(PY) -m lib run $(call given,NOTEBOOK) $(compute) $(parameters)

sweep: given-ENCODERS $(INSTALLED) ## run notebooks x encoders in parallel and compare them: ENCODERS="custom/a custom/b" [NOTEBOOKS="fourier similarity"] [WORKERS=2] [SCHEDULER=tcp://…] [PROFILE=fashion] [DATA=/path/to/folder]
	$(call only,$(COMPUTE) ENCODERS NOTEBOOKS DATA)
	$(PY) -m lib sweep --encoders $(call given,ENCODERS) $(compute) $(call option,notebooks,NOTEBOOKS) $(call option,data,DATA)

adopt: given-SOURCE given-NAME $(INSTALLED) ## make an encoder, custom/NAME, from other weights: SOURCE=timm:NAME|hf-hub:OWNER/NAME|/path/to/file|/path/to/folder NAME=… [FAMILY=CL|MIM|other] [ARCH=…] [HEADS=…] [NORMALISATION=imagenet|half|clip|none|m,m,m/s,s,s] [POOLING=…] [STEM=cifar|pooled] [ENTRY=…] [METHOD=…] [INPUT_SIZE=…] [SHA256=…]
	$(call only,$(ADOPT) $(if $(filter compare,$(MAKECMDGOALS)),$(COMPUTE) WITH NOTEBOOKS DATA))
	$(PY) -m lib.adopt $(call given,SOURCE) --name=$(call given,NAME) $(call option,arch,ARCH) $(call option,heads,HEADS) $(call option,family,FAMILY) \
	  $(call option,normalisation,NORMALISATION) $(call option,pooling,POOLING) $(call option,stem,STEM) $(call option,entry,ENTRY) \
	  $(call option,method,METHOD) $(call option,input-size,INPUT_SIZE) $(call option,sha256,SHA256)

compare: adopt ## adopt an encoder, run every page that it fits, and show it beside the study's: SOURCE=… NAME=… and what adopt takes [WITH="fashion/simmim-s"] [NOTEBOOKS=…] [WORKERS=2] [PROFILE=fashion] [DATA=/path/to/folder]
	$(PY) -m lib sweep --encoders "custom/"$(call given,NAME)" $${GIVEN_WITH-}" $(compute) $(call option,notebooks,NOTEBOOKS) $(call option,data,DATA)
	$(PY) -m lib.report.beside "custom/"$(call given,NAME) $(call option,with,WITH) $(profile) $(call option,data,DATA)

pretrain: given-METHOD $(INSTALLED) ## train an encoder, or continue after a stop: METHOD=moco-v3 [SIZE=s] [DATA=imagenette|/path/to/folder] [STEM=convolutional] [ARCH=vit_base_patch16_224] [IMAGES=…] [BATCH_SIZE=64] [LEARNING_RATE=1e-3] [WEIGHT=…] [SEED=0] [NAME=…]
	$(call only,METHOD SIZE DATA STEM ARCH IMAGES BATCH_SIZE LEARNING_RATE WEIGHT SEED NAME DEVICE)
	$(PY) -m lib.pretrain $(call given,METHOD) $(call option,size,SIZE) $(call option,data,DATA) $(call option,stem,STEM) $(call option,arch,ARCH) $(call option,images,IMAGES) \
	  $(call option,batch-size,BATCH_SIZE) $(call option,learning-rate,LEARNING_RATE) $(call option,weight,WEIGHT) $(call option,seed,SEED) $(call option,name,NAME)

zoo: $(INSTALLED) ## train every encoder of the study that is missing, in order; run again to continue after a stop: GROUP=fashion|imagenette [DATA=/path/to/photographs] [JOBS=2] [DRY=1]
	$(call only,GROUP DATA JOBS DRY DEVICE)
	$(PY) -m lib.pretrain.zoo "$${GIVEN_GROUP-imagenette}" $(call option,data,DATA) $(call option,jobs,JOBS) $(call flag,dry,DRY)

bench: $(INSTALLED) ## measure the speed of trainings, probes and attributions on this machine, in about four minutes
	$(call only)
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
	@test -n $(call given,$*) || { echo "$* is missing: write for example $(EXAMPLE_$*)" >&2; exit 2; }

python = $(if $(filter PYTHON,$(GIVEN)),"$$GIVEN_PYTHON","$(PYTHON)")
$(INSTALLED): requirements.lock
	@$(python) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is needed, found $$($(python) --version 2>/dev/null || echo none): install it, or give its path, make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	$(python) -m venv .venv
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.lock
	@touch $@
