//! Where `tools/setup.sh` put what it fetched. Knows the names only; fetching is the script's affair, so that a test
//! never goes to the network.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The directory of Kafka's jars.
pub(crate) fn kafka_jars() -> PathBuf {
    fetched("kafka", &source("kafka/pom.xml"))
}

/// The directory of the jars of the clients in Java.
pub(crate) fn java_jars() -> PathBuf {
    fetched("java", &source("java/pom.xml"))
}

/// The packages of the clients in JavaScript.
pub(crate) fn node_modules() -> PathBuf {
    fetched("node", &source("node/package-lock.json")).join("node_modules")
}

/// The interpreter of the environment that holds the foreign clients.
pub(crate) fn python() -> PathBuf {
    fetched("python", &source("python/requirements.txt")).join("bin/python")
}

/// The directory of Artemis' jars.
pub(crate) fn artemis_jars() -> PathBuf {
    fetched("artemis", &source("artemis/pom.xml"))
}

/// Where the package of Mosquitto is unpacked.
pub(crate) fn mosquitto() -> PathBuf {
    fetched("mosquitto", &source("debian/mosquitto"))
}

/// Where the packages of RabbitMQ and of Erlang are unpacked.
pub(crate) fn rabbitmq() -> PathBuf {
    fetched("rabbitmq", &source("debian/rabbitmq"))
}

/// The certificates of the tests.
pub(crate) fn tls() -> PathBuf {
    fetched("tls", &source("tls/make.sh"))
}

/// The library that moves a process' wall clock.
pub(crate) fn clock() -> PathBuf {
    fetched("clock", &source("clock/clock.c")).join("clock.so")
}

/// The library that makes a process' disk fail.
pub(crate) fn disk() -> PathBuf {
    fetched("disk", &source("disk/disk.c")).join("disk.so")
}

/// The libraries below the root of unpacked packages, as the linker's search path; the kind of machine is in the name.
pub(crate) fn libraries(root: &Path) -> OsString {
    let dirs = fs::read_dir(root.join("usr/lib")).into_iter().flatten().flatten();
    let found = dirs
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    env::join_paths(found).expect("paths without a colon")
}

/// A file of the rig, by its path below `tests/rig`.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The cache itself; `bin` below it holds single tools.
pub(crate) fn root() -> PathBuf {
    let from = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from("WEFT_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|dir| dir.join("weft")))
        .or_else(|| from("HOME").map(|dir| dir.join(".cache/weft")))
        .expect("one of WEFT_CACHE, XDG_CACHE_HOME and HOME is set")
}

/// The directory that was filled for this very text of `wanted`; `tools/env.sh` makes the same name.
fn fetched(what: &str, wanted: &Path) -> PathBuf {
    let text = fs::read(wanted).unwrap_or_else(|e| panic!("reading {}: {e}", wanted.display()));
    let hash: String = Sha256::digest(&text)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let dir = root().join(format!("{what}-{hash}"));
    assert!(
        dir.is_dir(),
        "{} is absent: run tools/setup.sh once, it fetches it",
        dir.display()
    );
    dir
}
