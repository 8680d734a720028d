# make run    sets everything up and starts the site on this machine
# make test   sets everything up and checks all of it
# make lint   style and types alone          make front   builds the front end
# make hosts  three hosts in network namespaces (root)   make soak MINUTES=30   random faults, then the records are read
# make gpu    NVML, CUDA, nccl and a whole site on an NVIDIA GPU; skipped with its reason elsewhere
# make faults TIMES=20   every fault again and again, until a round fails or all are through   [SEED=7] [HOSTS=2: rounds on three hosts too]
# make bench  measures this machine          make bench-peers   the same work for ours and for MLflow, trackio, Aim, TensorBoard

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)

MINUTES ?= 10
TIMES ?= 1
HOSTS ?= 0

.PHONY: run test hosts gpu faults soak lint front types lighthouse bench bench-peers environment environment-dev need-python

need-python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found. On Debian: apt install python3 python3-venv" >&2; exit 1; }

environment: need-python
	@"$(PYTHON)" scripts/environment.py requirements.txt

environment-dev: need-python
	@"$(PYTHON)" scripts/environment.py requirements-dev.txt

# The stack takes Ctrl-C itself and ends in order; make has nothing to add to it.
run: environment
	@exec .venv/bin/python -m scaleweb.stack || exit $$?

test: environment-dev
	@exec .venv/bin/python scripts/check.py $(CHECK)

hosts: environment-dev
	@exec .venv/bin/python -m pytest -q -rs -m hosts tests/hosts

gpu: environment-dev
	@exec .venv/bin/python -m pytest -q -rs -m gpu tests/gpu

faults: environment-dev
	@exec .venv/bin/python -m tests.faults --times $(TIMES) --hosts $(HOSTS) $(if $(SEED),--seed $(SEED))

soak: environment-dev
	@exec .venv/bin/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

lint: environment-dev
	@exec .venv/bin/python scripts/check.py --only style

bench: environment-dev
	@exec .venv/bin/python -m benchmarks

lighthouse: environment-dev
	@exec .venv/bin/python -m benchmarks.cold_page --repeats 3 --lighthouse

bench-peers: environment-dev
	@exec .venv/bin/python -m benchmarks.peers

types: environment-dev
	@exec .venv/bin/python scripts/make_types.py

front:
	cd frontend && npm ci --no-audit --no-fund && npm run build
