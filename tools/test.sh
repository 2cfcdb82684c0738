#!/usr/bin/env bash
# All tests, against real brokers that start before the first test binary and stop after the last one.
# Arguments go to `cargo test` and narrow what runs, e.g. `tools/test.sh --test delivery a_refusal`, and with `-p PACKAGE`
# also what is built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh
tools/setup.sh test

# The same selection for the build and for the run, or cargo would compile twice.
selection=(--locked --workspace --all-features)
case " $* " in
*" -p "* | *" --package"*)
  selection=(--locked --all-features)
  cargo build --locked -p weft-rig </dev/null
  ;;
*) cargo test "${selection[@]}" --no-run </dev/null ;;
esac
exec "${CARGO_TARGET_DIR:-target}/debug/weft-rig" all -- cargo test "${selection[@]}" --no-fail-fast "$@"
