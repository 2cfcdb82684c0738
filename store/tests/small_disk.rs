//! A file system of a few MiB that is really full (C27). It has to be mounted, which takes rights that not everybody has:
//! without them this says so, and is left to the simulated disk.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::{Dir, bounds, close, open, tokens};
use weft_store::Claim;

struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, bytes: u64) -> Option<Mounted> {
        let size = format!("size={bytes}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "weft-store-test"])
            .arg(&path)
            .output();
        match mount {
            Ok(done) if done.status.success() => Some(Mounted(path)),
            Ok(done) => {
                eprintln!(
                    "skipped: no file system can be mounted: {}",
                    String::from_utf8_lossy(&done.stderr).trim()
                );
                None
            }
            Err(error) => {
                eprintln!("skipped: no file system can be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_is_full_fails_nothing_and_what_waits_goes_on_when_there_is_room() {
    let dir = Dir::new("small");
    let Some(mounted) = Mounted::new(dir.0.clone(), 4 << 20) else {
        return;
    };
    let path = mounted.0.join("store");
    // More than there is: the disk is what is full, not the log.
    let max = 64 << 20;
    let (store, told) = open(&path, max).unwrap();
    let log = store.log("a", bounds(max)).unwrap();
    let payload = vec![7; 20_000];
    let append = |token: u64| {
        log.append(&[&token.to_le_bytes(), &payload], (token, Claim::New), 7, |_| {
            true
        })
        .map_err(|(_, why)| why)
    };
    let others = mounted.0.join("others");
    fs::write(&others, vec![1; 1 << 20]).unwrap();
    let mut count = 0;
    while !log.is_full() {
        if append(count).is_err() {
            break;
        }
        count += 1;
        // A batch is written as a whole: what waits in the end must fit into the room that is made.
        while log.holding().unsynced > 16 && !log.is_full() {
            std::thread::yield_now();
        }
    }
    assert!(count > 50, "{count}");
    assert!(log.is_full());
    assert_eq!(log.failure(), None);
    // Somebody makes room: what waited is durable, in its order.
    fs::remove_file(&others).unwrap();
    told.wait(usize::try_from(count).unwrap());
    assert!(told.failed.lock().unwrap().is_empty());
    assert_eq!(tokens(&store, &log), ((0..count).collect(), 0));
    close(&store);
    drop((store, log));
    let (store, _) = open(&path, max).unwrap();
    let log = store.log("a", bounds(max)).unwrap();
    assert_eq!(tokens(&store, &log), ((0..count).collect(), 0));
    close(&store);
    drop((store, log));
}
