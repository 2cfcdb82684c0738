#!/usr/bin/env bash
# All tests, against real brokers that start before the first test binary and stop after the last one.
# Arguments go to `cargo test` and narrow what runs, e.g. `tools/test.sh --test delivery a_refusal`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
tools/setup.sh test

# The same selection for the build and for the run, or cargo would compile twice.
selection=(--locked --workspace --all-features)
cargo test "${selection[@]}" --no-run </dev/null
exec "${CARGO_TARGET_DIR:-target}/debug/weft-rig" all -- cargo test "${selection[@]}" --no-fail-fast "$@"
