#!/usr/bin/env bash
# Runs cargo-deny with the checks that are named, and builds it first, once, into the cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh

if [ ! -x "$CARGO_DENY_DIR/bin/cargo-deny" ]; then
  echo "deny: building cargo-deny $CARGO_DENY_VERSION into $CARGO_DENY_DIR"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  # Unoptimised: it runs for a second, and builds in a quarter of the time.
  CARGO_TARGET_DIR=$scratch CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --profile dev \
    --root "$CARGO_DENY_DIR" --version "$CARGO_DENY_VERSION" cargo-deny </dev/null
fi
"$CARGO_DENY_DIR/bin/cargo-deny" --log-level warn --all-features --locked check --hide-inclusion-graph "$@" </dev/null
