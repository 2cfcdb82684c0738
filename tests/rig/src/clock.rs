//! A wall clock that jumps, for one process: `clock/clock.c`, preloaded. Only the wall clock moves, and waits that have
//! their deadline on it; the monotonic clocks go on. It owns the file through which the jump reaches the process.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::{Dir, cache};

/// The clock, at first the machine's own.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    dir: Dir,
    file: File,
}

impl Clock {
    /// A clock that no process has yet; see [`WeftBuilder::clock`](crate::WeftBuilder::clock).
    #[must_use]
    pub fn new() -> Self {
        let dir = Dir::new("clock");
        let path = dir.path().join("offset");
        fs::write(&path, [0; 8]).unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
        let file = File::options().write(true).open(&path);
        let file = file.unwrap_or_else(|e| panic!("opening {}: {e}", path.display()));
        Self {
            library: cache::clock(),
            dir,
            file,
        }
    }

    /// From now on the clock is so many seconds before (or, below zero, behind) the machine's; 0 ends the error.
    pub fn set(&self, seconds: i64) {
        let nanos = seconds * 1_000_000_000;
        let written = self.file.write_all_at(&nanos.to_ne_bytes(), 0);
        written.unwrap_or_else(|e| panic!("setting a clock: {e}"));
    }

    /// What a process needs in its environment to live by this clock.
    #[must_use]
    pub fn variables(&self) -> [(String, String); 2] {
        let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("WEFT_RIG_CLOCK".to_owned(), text(&self.dir.path().join("offset"))),
        ]
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
