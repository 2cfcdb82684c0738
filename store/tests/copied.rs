//! A store that is written to is copied, file by file, at any moment: the copy opens, and has what was told before (C24, C28).
//!
//! That is less kind than a power cut, which keeps one moment of all files: here each has its own.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Dir, bounds, close, open, tokens};
use weft_store::{Claim, Log};

/// Bytes a log may have: it rolls and fills often.
const MAX: u64 = 8 << 20;
const COPIES: usize = 12;

/// Copies what is there. What goes meanwhile is not there.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        let copied = match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to),
            false => fs::copy(entry.path(), &to).map(drop),
        };
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

fn append(log: &Arc<Log<u64>>, token: u64) -> bool {
    let length = (token as usize * 37) % 900;
    let payload = vec![7; length];
    log.append(&[&token.to_le_bytes(), &payload], (token, Claim::New), 7, |_| {
        true
    })
    .is_ok()
}

/// Ends the appending when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_made_at_any_moment_has_what_was_told_before_it_began() {
    let dir = Dir::new("copied");
    let path = dir.0.join("store");
    let (store, told) = open(&path, MAX).unwrap();
    let (a, b) = (
        store.log("a", bounds(MAX)).unwrap(),
        store.log("b", bounds(MAX)).unwrap(),
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // All of `b` is acknowledged as soon as it is durable, so that its segments go.
        scope.spawn(|| {
            let (mut token, mut appended) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..50 {
                    // A record that is refused is the next to be appended.
                    token += u64::from(append(&a, token));
                    appended += u64::from(append(&b, token));
                }
                b.acknowledge(0..appended - b.holding().unsynced);
                // The head of a segment is charged when it is made.
                assert!(b.holding().bytes <= MAX + (16 << 10));
                // Of `a` the older half, when half of its room is taken.
                let open = a.open();
                if a.holding().bytes > MAX / 2 {
                    a.acknowledge(0..token - open / 2);
                }
            }
        });
        // Also when something is not as it should be.
        let _stop = Stop(&stop);
        for number in 0..COPIES {
            told.wait(3_000 * (number + 1));
            let before: BTreeSet<u64> = {
                let stored = told.stored.lock().unwrap();
                stored
                    .iter()
                    .filter(|(log, _)| log == "a")
                    .map(|(_, token)| *token)
                    .collect()
            };
            let to = dir.0.join(format!("copy-{number}"));
            copy(&path, &to).unwrap();
            let (open_now, _) = tokens(&store, &a);
            let front = open_now.first().copied().unwrap_or(u64::MAX);
            let (copied, _) = open(&to, MAX).unwrap();
            let log = copied.log("a", bounds(MAX)).unwrap();
            let found: BTreeSet<u64> = tokens(&copied, &log).0.into_iter().collect();
            let lost: Vec<u64> = before
                .range(front..)
                .filter(|token| !found.contains(token))
                .copied()
                .collect();
            assert!(
                lost.is_empty(),
                "copy {number}: {lost:?} of {} lost",
                before.len()
            );
            assert!(append(&log, u64::MAX / 64) || log.is_full(), "it takes more");
            close(&copied);
            fs::remove_dir_all(&to).unwrap();
        }
    });
    close(&store);
    assert!(told.failed.lock().unwrap().is_empty());
}
