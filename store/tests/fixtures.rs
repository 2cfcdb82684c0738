//! Stores that were written once and for all, which this version and later ones must read (`docs/store-format.md`).
//!
//! `WEFT_STORE_FIXTURE=NAME` writes the one of this name anew, and is for a format that is new.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Dir, Told, bounds, close, open, tokens};
use weft_store::{Claim, Store};

const MAX: u64 = 1 << 20;

/// What a fixture's name says happened to it, what is open in it, and what of it is damaged.
const FIXTURES: [(&str, &[u64], &[u64], u64); 3] = [
    // Closed: the last segments are sealed. Of `a` 2 to 4 and 7 are acknowledged.
    ("1-closed", &[0, 1, 5, 6, 8, 9], &[0, 1, 2, 3, 4], 0),
    // Killed: no seals, and behind the last record a half of another.
    ("1-killed", &[0, 1, 5, 6, 8, 9], &[0, 1, 2, 3, 4], 0),
    // As the first, but that a bit of the payload of 5 in `a` is flipped.
    ("1-damaged", &[0, 1, 6, 8, 9], &[0, 1, 2, 3, 4], 1),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap();
    }
}

fn payload(token: u64) -> Vec<u8> {
    let text = format!("record {token} ").repeat(token as usize + 1);
    [&token.to_le_bytes(), text.as_bytes()].concat()
}

fn append(store: &Store<u64>, told: &Told, name: &str, count: u64) {
    let log = store.log(name, bounds(MAX)).unwrap();
    let before = told.stored.lock().unwrap().len();
    for token in 0..count {
        log.append(&[&payload(token)], (token, Claim::New), 1_700_000_000_000, |_| {
            true
        })
        .unwrap();
    }
    told.wait(before + count as usize);
}

fn is_marked(log: &Path) -> bool {
    let is_mark = |bytes: &[u8]| bytes == b"WFR1\x02\0\0\0";
    files(log)
        .iter()
        .any(|file| fs::read(file).unwrap().windows(8).any(is_mark))
}

/// Writes a fixture.
fn write(name: &str) {
    let dir = Dir::new("writing");
    let (store, told) = open(&dir.0, MAX).unwrap();
    append(&store, &told, "a", 10);
    append(&store, &told, "b", 5);
    let log = store.log("a", bounds(MAX)).unwrap();
    for run in [2..5, 7..8] {
        log.acknowledge(run);
    }
    // The journal, and the marks of logs that rest.
    let sealed = name != "1-killed";
    while log.unwritten() > 0
        || !["a", "b"]
            .iter()
            .all(|log| is_marked(&dir.0.join("logs").join(log)))
    {
        std::thread::yield_now();
    }
    let to = fixtures().join(name);
    let _ = fs::remove_dir_all(&to);
    if sealed {
        close(&store);
    }
    copy(&dir.0, &to);
    close(&store);
    for file in files(&to) {
        let mut bytes = fs::read(&file).unwrap();
        let is_segment = file.extension().is_some_and(|extension| extension == "seg");
        if is_segment && name == "1-killed" {
            // The zeros ahead are left out; a head and half a payload are not.
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            let first = bytes[8192..8192 + 56].to_vec();
            bytes.truncate(end.next_multiple_of(8));
            bytes.extend_from_slice(&first[..44]);
        }
        if is_segment && name == "1-damaged" && file.starts_with(to.join("logs/a")) {
            let needle = b"record 5 record 5 ";
            let at = bytes
                .windows(needle.len())
                .position(|window| window == needle)
                .unwrap();
            bytes[at] ^= 1;
        }
        if file.extension().is_some_and(|extension| extension == "acks") {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            bytes.truncate(end.next_multiple_of(32));
        }
        fs::write(&file, bytes).unwrap();
    }
}

#[test]
fn every_store_that_was_ever_written_is_read() {
    if let Ok(name) = std::env::var("WEFT_STORE_FIXTURE") {
        write(&name);
    }
    let mut seen = 0;
    for (name, a, b, damaged) in FIXTURES {
        let dir = Dir::new(name);
        copy(&fixtures().join(name), &dir.0);
        // Twice: the first start mends, and the second finds what it left.
        for start in 0..2 {
            let (store, _): (_, Arc<Told>) = open(&dir.0, MAX).unwrap();
            let logs = ["a", "b"].map(|log| store.log(log, bounds(MAX)).unwrap());
            let damaged = if start == 0 { damaged } else { 0 };
            assert_eq!(tokens(&store, &logs[0]), (a.to_vec(), damaged), "{name}");
            assert_eq!(tokens(&store, &logs[1]), (b.to_vec(), 0), "{name}");
            close(&store);
            seen += 1;
        }
        let size: u64 = files(&fixtures().join(name))
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum();
        assert!(size < 64 << 10, "{name}: {size} bytes are too many to keep");
    }
    assert_eq!(
        seen,
        2 * fs::read_dir(fixtures()).unwrap().count(),
        "each fixture is read"
    );
}
