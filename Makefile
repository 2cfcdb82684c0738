# Thin names for what the tools do. `make run` needs Rust and a C++ compiler; `make test` fetches all else it needs.
# The flags of clippy, docs and test agree, so that nothing is compiled twice.

ALL := --locked --workspace --all-features

.PHONY: help run test sim mutants ci bench scenarios overload stalled backlog faults kills setup fmt format clippy docs deny advisories

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

run: ## build weft and run routes.example.yaml
	@tools/setup.sh build
	cargo run --locked --release --bin weft -- run routes.example.yaml

test: ## every test, with real brokers
	@tools/test.sh

SEEDS ?= 1000
FIRST ?= 0

sim: ## the simulator: SEEDS=1000 seeds from FIRST=0 on (docs/simulator.md)
	@tools/setup.sh build
	WEFT_SIM_SEEDS=$(SEEDS) WEFT_SIM_FIRST=$(FIRST) cargo test --locked --all-features -p weft --test sim

mutants: ## undo each guard of the router, and see the simulator fail (ten minutes)
	@tools/setup.sh build
	cargo test --locked --all-features -p weft --test mutants -- --ignored --nocapture

ci: ## what the continuous integration runs
	@.ci/run

bench: ## the micro benchmarks
	@tools/setup.sh build
	cargo bench --locked -p weft -p weft-api -p weft-http -p weft-kafka -p weft-amqp-wire --bench '*'

scenarios: ## the router beside plain loops, as whole processes (minutes)
	@tools/setup.sh test
	cargo build --locked --release -p weft -p weft-scenarios
	cargo run --locked --release -p weft-scenarios -- all

MEMORY ?= 64,256

# Both say first how long they take. SECONDS_EACH shortens the overload (300) and the stall (60), MEMORY is a list in MiB.
overload: ## twice the load on each ingress (hours; SECONDS_EACH=60)
	@tools/setup.sh test
	cargo build --locked --release -p weft -p weft-scenarios
	cargo run --locked --release -p weft-scenarios --bin overload -- all \
	  --seconds $(or $(SECONDS_EACH),300) --memory $(MEMORY)

stalled: ## one of eight destinations stalled (minutes)
	@tools/setup.sh test
	cargo build --locked --release -p weft -p weft-scenarios
	cargo run --locked --release -p weft-scenarios --bin stalled -- all --seconds $(or $(SECONDS_EACH),60)

backlog: ## EVENTS=2000000 behind a destination that is away: starts on them, and their end (minutes)
	@tools/setup.sh test
	cargo build --locked --release -p weft -p weft-scenarios
	cargo run --locked --release -p weft-scenarios --bin backlog -- --events $(or $(EVENTS),2000000)

# RUNS=20 for as many rounds, ONLY=text for the rows with that in their name, SET=always for those that every change runs.
faults: ## the long set of fault tests (hours)
	@WEFT_FAULTS_RUNS=$(or $(RUNS),1) WEFT_FAULTS_ONLY="$(ONLY)" WEFT_FAULTS_SET=$(SET) \
		tools/test.sh -p weft --test faults -- --ignored --nocapture the_long_set

kills: ## kill a router with a store RUNS=1000 times at random instants (a second each)
	@WEFT_KILLS=$(or $(RUNS),1000) tools/test.sh -p weft --test faults -- --ignored --nocapture however_often_it_is_killed

setup: ## install and fetch what the tests need
	@tools/setup.sh test

fmt: ## check the format
	cargo fmt --all --check

format: ## write the format
	cargo fmt --all

clippy: ## the lints, with warnings as errors
	cargo clippy $(ALL) --all-targets -- -D warnings

docs: ## the API documentation, with warnings as errors
	RUSTDOCFLAGS="-D warnings" cargo doc $(ALL) --no-deps --document-private-items

deny: ## licences, sources and bans of the dependencies
	@tools/deny.sh bans licenses sources

# Apart from `deny`, since it fetches the advisory database from GitHub, which a closed network does not reach.
advisories: ## known vulnerabilities of the dependencies (needs GitHub)
	@tools/deny.sh advisories
