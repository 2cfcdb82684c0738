#!/usr/bin/env bash
# Makes a Debian machine ready, and says in one line each what it does; where nothing is missing it says nothing.
#   tools/setup.sh build   what `make run` needs: Rust, a C++ compiler, OpenSSL and zlib for librdkafka
#   tools/setup.sh test    that, and what `make test` needs: the brokers Kafka, Artemis, Mosquitto and RabbitMQ, clients in
#                          Java, Python and JavaScript with what runs them, kcat, promtool,
#                          nft, ip and tc for faults of the network
# Packages come through apt (with sudo where the user is not root); everything else lies in the cache (tools/env.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/env.sh

goal=${1:-test}
say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Fills `dir` by the function `fill DIR` once; a fetch that breaks off leaves nothing that looks whole.
once() {
  local dir=$1 fill=$2
  [ -d "$dir" ] && return 0
  mkdir -p "$WEFT_CACHE"
  exec 8>"$WEFT_CACHE/.setup.lock"
  flock 8
  if [ ! -d "$dir" ]; then
    rm -rf "$dir.part"
    mkdir "$dir.part"
    "$fill" "$dir.part"
    mv "$dir.part" "$dir"
  fi
  exec 8>&-
}

check_rust() {
  local wanted has
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
  have cargo || fail "Rust is missing: install $wanted or newer with rustup (https://rustup.rs); Debian's own is too old"
  has=$(cargo --version | cut -d' ' -f2)
  printf '%s\n%s\n' "$wanted" "$has" | sort -CV ||
    fail "Rust $has is too old: Weft needs $wanted or newer (rustup update stable)"
}

# That it makes environments, and has what Proton is compiled against.
python_builds='
import ensurepip, os, sysconfig, venv
os.stat(os.path.join(sysconfig.get_paths()["include"], "Python.h"))
'

missing_packages() {
  have cmake || echo cmake
  have g++ || echo g++
  have make || echo make
  have perl || echo perl
  if have pkg-config; then
    pkg-config --exists openssl || echo libssl-dev
    pkg-config --exists zlib || echo zlib1g-dev
    # For one header: librdkafka 2.12 includes it even where curl is switched off, as it is for us.
    pkg-config --exists libcurl || echo libcurl4-openssl-dev
  else
    echo pkg-config libssl-dev zlib1g-dev libcurl4-openssl-dev
  fi
  [ "$goal" = test ] || return 0
  # The compiler too: one client is run from its source.
  have javac || echo default-jdk-headless
  have node || echo nodejs
  have kcat || echo kcat
  have curl || echo curl
  have openssl || echo openssl
  # For the faults: namespaces and interfaces, packets that are lost, and limits.
  { have ip && have tc; } || echo iproute2
  have nft || echo nftables
  have prlimit || echo util-linux
  # Only needed to fill the cache.
  { [ -d "$KAFKA_DIR" ] && [ -d "$ARTEMIS_DIR" ] && [ -d "$JAVA_DIR" ]; } || have mvn || echo maven
  [ -d "$NODE_DIR" ] || have npm || echo npm
  [ -d "$PYTHON_DIR" ] || python3 -c "$python_builds" 2>/dev/null || echo python3 python3-venv python3-dev
}

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

# Once a run, and only where something is to be had from there.
update_lists() {
  [ -z "${updated:-}" ] || return 0
  $sudo apt-get update -qq </dev/null >/dev/null
  updated=yes
}

install_packages() {
  local packages=$*
  have apt-get || fail "this is no Debian; install by hand what these packages hold: $packages"
  if [ -n "$sudo" ] && ! have sudo; then
    fail "not root, and no sudo here; as root: apt-get install --no-install-recommends $packages"
  fi
  say "installing $packages"
  update_lists
  # shellcheck disable=SC2086  # a list of words is what is meant
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages </dev/null >/dev/null
}

# copy_jars DIR NAME: the jars that tests/rig/NAME/pom.xml asks for.
copy_jars() {
  mvn -B -q -ntp -Dstyle.color=never -f "tests/rig/$2/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$1" </dev/null
}

fetch_kafka() {
  local version
  version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 17 ] || fail "Java ${version:-?} is too old: Kafka needs 17 or newer (default-jdk-headless)"
  say "fetching Kafka's jars into ${1%.part}"
  copy_jars "$1" kafka
}

fetch_java() {
  say "fetching Java's clients into ${1%.part}"
  copy_jars "$1" java
}

fetch_node() {
  say "fetching Node's clients into ${1%.part}"
  cp tests/rig/node/package.json tests/rig/node/package-lock.json "$1"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >/dev/null)
}

fetch_artemis() {
  say "fetching Artemis into ${1%.part}"
  copy_jars "$1" artemis
  tar -xzf "$1"/apache-artemis-*.tar.gz -C "$1" --strip-components=2 --wildcards '*/lib/*.jar'
  rm "$1"/apache-artemis-*.tar.gz
}

fetch_python() {
  say "fetching Python's clients into ${1%.part}"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir \
    -r tests/rig/python/requirements.txt </dev/null
}

# unpack_packages DIR FILE: what the packages named in a file hold, with those that they need and this machine lacks.
# Not by installing them: that would start servers here. It needs no root, but for the lists.
unpack_packages() {
  local dir=$1 names
  mapfile -t names <"$2"
  update_lists
  mkdir "$dir/packages"
  (
    cd "$dir"
    apt-get install -y -qq --download-only --reinstall --no-install-recommends -o Debug::NoLocking=true \
      -o Dir::Cache::archives="$PWD/packages/" "${names[@]}" </dev/null >log 2>&1 || { cat log >&2; exit 1; }
    for package in packages/*.deb; do dpkg-deb -x "$package" .; done
    rm -rf packages log etc usr/share/{doc,man,lintian}
  )
}

fetch_mosquitto() {
  say "unpacking Mosquitto into ${1%.part}"
  unpack_packages "$1" tests/rig/debian/mosquitto
}

fetch_rabbitmq() {
  say "unpacking RabbitMQ and Erlang into ${1%.part}"
  unpack_packages "$1" tests/rig/debian/rabbitmq
  # Erlang's own script knows one place only.
  # shellcheck disable=SC2016  # that is for the script to expand
  sed -i 's|^\( *\)ROOTDIR=/usr/lib/erlang$|\1ROOTDIR=$(cd "$(dirname "$(readlink -f "$0")")/.." \&\& pwd)|' \
    "$1/usr/lib/erlang/bin/erl"
}

make_certificates() {
  say "making certificates in ${1%.part}"
  tests/rig/tls/make.sh "$1"
}

make_clock() {
  say "compiling a clock that jumps in ${1%.part}"
  g++ -x c -std=gnu11 -O2 -Wall -shared -fPIC -o "$1/clock.so" tests/rig/clock/clock.c -ldl
}

make_disk() {
  say "compiling a disk that fails in ${1%.part}"
  g++ -x c -std=gnu11 -O2 -Wall -shared -fPIC -o "$1/disk.so" tests/rig/disk/disk.c -ldl
}

# Out of the package, not by installing it: that would start a Prometheus server on this machine.
fetch_promtool() {
  have promtool && return 0
  say "fetching promtool into $WEFT_CACHE/bin"
  local dir
  update_lists
  dir=$(mktemp -d)
  (cd "$dir" && apt-get download -qq prometheus </dev/null && dpkg-deb -x prometheus_*.deb .)
  install -D "$dir/usr/bin/promtool" "$WEFT_CACHE/bin/promtool"
  rm -rf "$dir"
}

[ "$goal" = build ] || [ "$goal" = test ] || fail "unknown goal $goal: say build or test"
check_rust
packages=$(missing_packages | xargs)
[ -z "$packages" ] || install_packages "$packages"
if [ "$goal" = test ]; then
  once "$KAFKA_DIR" fetch_kafka
  once "$ARTEMIS_DIR" fetch_artemis
  once "$JAVA_DIR" fetch_java
  once "$NODE_DIR" fetch_node
  once "$PYTHON_DIR" fetch_python
  once "$MOSQUITTO_DIR" fetch_mosquitto
  once "$RABBITMQ_DIR" fetch_rabbitmq
  once "$TLS_DIR" make_certificates
  once "$CLOCK_DIR" make_clock
  once "$DISK_DIR" make_disk
  fetch_promtool
fi
