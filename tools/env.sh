# Sourced by the other scripts, from the root of the clone. Owns the places outside the clone; runs nothing.
#
# What a fetch brings lies under a name that holds the hash of the file that asked for it, so that two clones of
# different age share one cache and neither harms the other. tests/rig/src/cache.rs computes the same names.

WEFT_CACHE=${WEFT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/weft}
export WEFT_CACHE

CARGO_DENY_VERSION=0.20.2

hash_of() { sha256sum "$1" | cut -c1-16; }

KAFKA_DIR=$WEFT_CACHE/kafka-$(hash_of tests/rig/kafka/pom.xml)
PYTHON_DIR=$WEFT_CACHE/python-$(hash_of tests/rig/python/requirements.txt)
JAVA_DIR=$WEFT_CACHE/java-$(hash_of tests/rig/java/pom.xml)
NODE_DIR=$WEFT_CACHE/node-$(hash_of tests/rig/node/package-lock.json)
ARTEMIS_DIR=$WEFT_CACHE/artemis-$(hash_of tests/rig/artemis/pom.xml)
MOSQUITTO_DIR=$WEFT_CACHE/mosquitto-$(hash_of tests/rig/debian/mosquitto)
RABBITMQ_DIR=$WEFT_CACHE/rabbitmq-$(hash_of tests/rig/debian/rabbitmq)
CLOCK_DIR=$WEFT_CACHE/clock-$(hash_of tests/rig/clock/clock.c)
DISK_DIR=$WEFT_CACHE/disk-$(hash_of tests/rig/disk/disk.c)
TLS_DIR=$WEFT_CACHE/tls-$(hash_of tests/rig/tls/make.sh)
CARGO_DENY_DIR=$WEFT_CACHE/cargo-deny-$CARGO_DENY_VERSION

PATH=$PATH:$WEFT_CACHE/bin:$HOME/.cargo/bin
export PATH
