# Every target does its own set-up; logic lives in setup.sh and in the packages.
VENV := .venv
PY := $(VENV)/bin/python
FMZIP := $(VENV)/bin/fmzip
CIFAR := --model $(FMZIP_DATA)/realdata.py:cifar_resnet20
LEARNING := $(CIFAR) --images $(FMZIP_DATA)/cifar10_train4000.npz --calibration 4000
PLANES := $(CIFAR) --images $(FMZIP_DATA)/cifar10_train4000.npz --calibration 4000
SQUEEZE := --model $(FMZIP_DATA)/realdata.py:squeezenet1_0 --images $(FMZIP_DATA)/photos --calibration 250
SQUEEZED := --maps features.3.squeeze_activation,features.4.squeeze_activation --scales mse --batch 16
REAL := --model resnet18 --weights $(FMZIP_DATA)/resnet18.safetensors --images $(FMZIP_DATA)/photos
HALF := $(REAL) --calibration 250
BUDGETS := kl=0.03,kl=0.04,kl=0.05,bits=1.6,lossless
FLAT := kl=0.02,kl=0.045,kl=0.09
# Of a network $$net: allocation beside one step factor for all maps.
NETWORK = --model $(FMZIP_DATA)/realdata.py:$$net --images $$(case $$net in cifar*) echo $(FMZIP_DATA)/cifar10_test1000.npz;; *) echo $(FMZIP_DATA)/photos;; esac)
ALLOCATION = $(FMZIP) allocate $(NETWORK) --budget kl=0.03,kl=0.06 --name allocated -o build/codecs/$$net-allocated.toml && $(FMZIP) allocate $(NETWORK) --budget $(FLAT) --uniform --name uniform -o build/codecs/$$net-uniform.toml && $(FMZIP) measure $(NETWORK) --codec $$(ls build/codecs/$$net-allocated-*.toml build/codecs/$$net-uniform-*.toml | paste -sd,) --json docs/results/allocation-$$net.json
SOME := dctcm,dctcm-width,bits4,zvc,rle,ebpc,zstd,entropy
OTHERS := ulx3s-85f-fmz ulx3s-85f-pcavlc ulx3s-85f-gf2 ulx3s-45f ulx3s-12f icesugar-pro icepi-zero ecpix5-85f orangecrab-25f orangecrab-85f
# Workers of the tests run PyTorch side by side: threads that spin while they wait slow each other.
export OMP_WAIT_POLICY := PASSIVE

help:  ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## virtual environment, pinned packages, missing apt packages

$(VENV)/.ready: pyproject.toml constraints.txt setup.sh
	@./setup.sh

hil: setup  ## the main job: ResNet-18 activations through the codec on a virtual board
	$(FMZIP) hil

test: setup  ## all tests
	$(PY) -m pytest -n 2 --dist loadgroup -q

soak: setup  ## the tests that take minutes: many more random cases
	$(PY) -m pytest -n 2 --dist load -q -m soak

sim: setup  ## cocotb benches on the emitted Verilog (WAVES=1 keeps waves)
	$(PY) -m pytest -q tests/test_sim.py

gates: setup  ## the same benches on the gates that synthesis for an ECP5 makes
	$(PY) -m pytest -q -m gates tests/test_gates.py tests/test_ip_export.py

formal: setup  ## proofs of the gateware, and the bugs that they must find
	$(FMZIP) formal

site: setup  ## the documents as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build -q

check: setup  ## ruff, mypy, import floors
	$(VENV)/bin/ruff check && $(VENV)/bin/ruff format --check && $(VENV)/bin/mypy && $(VENV)/bin/lint-imports

bench: setup  ## speed of reference, baselines, codecs in the loop and virtual board, beside peers
	$(PY) bench/reference.py && $(PY) bench/baselines.py && $(PY) bench/in_loop.py && $(PY) bench/vboard.py

area: setup  ## LUT, FF, DSP, EBR and Fmax of encoder and decoder, out of context on ECP5
	$(FMZIP) area

BOARD ?= ulx3s-85f
bitstream: setup  ## bitstream of BOARD (BOARD=list names them)
	$(FMZIP) bitstream $(BOARD)

flash: setup  ## load the bitstream of BOARD
	$(FMZIP) flash $(BOARD)

boards: setup  ## build all boards, ULX3S-85F with four seeds, for docs/boards.md; an hour or more
	for seed in 1 2 3 4; do $(FMZIP) bitstream ulx3s-85f --seed $$seed --tries 1 --out build/ulx3s-85f-$$seed.bit --json docs/results/board-ulx3s-85f.json; done
	for board in $(OTHERS); do $(FMZIP) bitstream $$board --out build/$$board.bit --json docs/results/board-$$board.json; done
	$(FMZIP) up5k --json docs/results/up5k.json
	$(FMZIP) docs

# Without FMZIP_DATA only the stand-in is run; what was found on real networks stays as it is.
results: setup  ## run again what the README's tables show (FMZIP_DATA=... names the real data)
	mkdir -p docs/results
	$(FMZIP) hil --codec dctcm --json docs/results/hil-digits-dctcm.json
	$(FMZIP) hil --codec dctcm-width --json docs/results/hil-digits-dctcm-width.json
ifdef FMZIP_DATA
	$(FMZIP) hil $(REAL) --codec dctcm --json docs/results/hil-resnet18-dctcm.json
	$(FMZIP) hil $(REAL) --codec dctcm-width --json docs/results/hil-resnet18-dctcm-width.json
	$(PY) bench/reference.py --json docs/results/bench-reference.json
	$(FMZIP) measure $(REAL) --codec $(SOME) --steps 0.05,0.1,0.15,0.25,0.35,0.5 --json docs/results/measure-resnet18.json
	mkdir -p build/codecs && $(FMZIP) allocate $(REAL) --budget $(BUDGETS) -o build/codecs/resnet18.toml
	$(FMZIP) measure $(REAL) --codec $$(ls build/codecs/resnet18-*.toml | paste -sd,),zstd,entropy --json docs/results/measure-resnet18-fmz.json
	$(FMZIP) hil $(REAL) --limit 10 --codec build/codecs/resnet18-bits1.6.toml --json docs/results/hil-resnet18-fmz.json
	$(FMZIP) measure $(REAL) --codec pcavlc,pcavlc-2x2,entropy --steps 0.077,0.107,0.18 --json docs/results/measure-resnet18-projections.json
	$(FMZIP) hil $(REAL) --limit 1 --codec pcavlc --step 0.107 --json docs/results/hil-resnet18-pcavlc.json
	for half in "0 2.668 2.66" "1 2.742 2.735"; do set -- $$half && \
	$(FMZIP) train-projection $(HALF) --fold $$1 --bits $$2 -o build/codecs/resnet18-cap-$$1.toml && \
	$(FMZIP) train-projection $(HALF) --fold $$1 --bits $$2 --epochs 0 --name components -o build/codecs/resnet18-components-$$1.toml && \
	$(FMZIP) train-projection $(HALF) --fold $$1 --bits $$3 --plain --epochs 0 --name plain -o build/codecs/resnet18-plain-$$1.toml && \
	$(FMZIP) measure $(HALF) --fold $$1 --codec build/codecs/resnet18-plain-$$1.toml,build/codecs/resnet18-components-$$1.toml,build/codecs/resnet18-cap-$$1.toml --json docs/results/measure-resnet18-cap-$$1.json || exit 1; done
	$(FMZIP) train-projection $(LEARNING) --bits 1.9 --batch 32 --rate 2e-3 --epochs 8 -o build/codecs/cifar_resnet20-cap.toml
	$(FMZIP) train-projection $(LEARNING) --bits 1.93 --plain --epochs 0 --name plain -o build/codecs/cifar_resnet20-plain.toml
	$(FMZIP) measure $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --codec build/codecs/cifar_resnet20-plain.toml,build/codecs/cifar_resnet20-cap.toml --json docs/results/measure-cifar_resnet20-cap.json
	$(FMZIP) hil $(REAL) --limit 1 --codec build/codecs/resnet18-cap-0.toml --json docs/results/hil-resnet18-cap.json
	for bits in 4 3 2; do $(FMZIP) train-gf2 $(PLANES) --bits $$bits --epochs $$((8 - 2 * bits)) -o build/codecs/gf2-$${bits}bits.toml || exit 1; done
	$(FMZIP) measure $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --batch 32 --codec build/codecs/gf2-4bits.toml,build/codecs/gf2-3bits.toml,build/codecs/gf2-2bits.toml --json docs/results/measure-cifar_resnet20-gf2.json
	for bits in 3 2; do $(FMZIP) train-gf2 $(PLANES) --bits $$bits --epochs $$((8 - 2 * bits)) --entropy --name gf2-coded -o build/codecs/gf2-$${bits}bits-coded.toml || exit 1; done
	$(FMZIP) measure $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --batch 32 --codec build/codecs/gf2-3bits-coded.toml,build/codecs/gf2-2bits-coded.toml --json docs/results/measure-cifar_resnet20-gf2-coded.json
	for form in popcount xor; do $(FMZIP) train-gf2 $(PLANES) --bits 3 --epochs 2 --form $$form --name gf2-$$form -o build/codecs/gf2-$$form.toml && $(FMZIP) measure $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --batch 32 --codec build/codecs/gf2-$$form.toml --json docs/results/measure-cifar_resnet20-gf2-$$form.json || exit 1; done
	$(FMZIP) hil $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --limit 1 --codec build/codecs/gf2-4bits.toml --json docs/results/hil-cifar_resnet20-gf2.json
	for fold in 0 1; do $(FMZIP) train-gf2 $(SQUEEZE) $(SQUEEZED) --fold $$fold --bits 4 --side 2 --epochs 8 -o build/codecs/squeezenet-gf2-$$fold.toml && $(FMZIP) measure $(SQUEEZE) --fold $$fold --codec build/codecs/squeezenet-gf2-$$fold.toml --json docs/results/measure-squeezenet1_0-gf2-$$fold.json || exit 1; done
	$(FMZIP) hil $(SQUEEZE) --limit 1 --codec build/codecs/squeezenet-gf2-0.toml --json docs/results/hil-squeezenet1_0-gf2.json
	for net in resnet50 squeezenet1_0 mobilenet_v2_uint8; do $(FMZIP) measure --model $(FMZIP_DATA)/realdata.py:$$net --images $(FMZIP_DATA)/photos --limit 100 --codec $(SOME) --json docs/results/measure-$$net.json || exit 1; done
	$(FMZIP) measure $(CIFAR) --images $(FMZIP_DATA)/cifar10_test1000.npz --codec $(SOME) --json docs/results/measure-cifar_resnet20.json
endif
	$(if $(FMZIP_DATA),$(FMZIP) allocate $(REAL) --budget $(FLAT) --uniform --name uniform -o build/codecs/resnet18-uniform.toml)
	$(if $(FMZIP_DATA),$(FMZIP) measure $(REAL) --codec $$(ls build/codecs/resnet18-kl*.toml build/codecs/resnet18-bits*.toml build/codecs/resnet18-uniform-*.toml | paste -sd,) --json docs/results/allocation-resnet18.json)
	$(if $(FMZIP_DATA),for net in cifar_resnet20 squeezenet1_0; do $(ALLOCATION) || exit 1; done)
	$(if $(FMZIP_DATA),for net in cifar_resnet20 squeezenet1_0; do $(PY) bench/transforms.py $(NETWORK) --pictures 16 --divergences 0.02 0.05 --json docs/results/transforms-$$net.json || exit 1; done)
	$(if $(FMZIP_DATA),$(PY) bench/transforms.py $(REAL) --pictures 8 --divergences 0.02 0.05 --json docs/results/transforms-resnet18.json)
	for part in encoder decoder fmz-encoder fmz-decoder projection pcavlc-encoder pcavlc-decoder huffman gf2-encoder gf2-decoder raster-to-wire wire-to-raster; do $(FMZIP) area --component $$part --json docs/results/area-$$part.json || exit 1; done
	for lanes in 4 2; do for part in encoder decoder fmz-encoder fmz-decoder; do $(FMZIP) area --component $$part --lanes $$lanes --json docs/results/area-$$part-$$lanes.json || exit 1; done; done
	$(FMZIP) docs

docs: setup  ## regenerate the generated parts of docs/ and README
	$(FMZIP) docs

clean:  ## remove everything that the other targets made
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup hil test soak sim gates formal site check bench area bitstream flash boards results docs clean
