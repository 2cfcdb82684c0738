//! What a process is denied: files, memory, and a clock that can be trusted.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use weft_rig::{Clock, Dir, MemoryLimit, Weft, WeftBuilder};

const LIMIT: Duration = Duration::from_secs(30);

/// Runs its file as a script of Python.
fn python() -> (Dir, WeftBuilder) {
    let dir = Dir::new("limits");
    let path = dir.write("weft", "#!/bin/sh\nexec python3 \"$2\"\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let builder = Weft::at(path.to_str().unwrap());
    (dir, builder)
}

#[test]
fn files_are_limited_for_the_binary_itself() {
    let (_dir, builder) = python();
    let script = "import os, resource, time\n\
                  print(os.getpid(), *resource.getrlimit(resource.RLIMIT_NOFILE), flush=True)\n\
                  print(len(os.listdir('/proc/self/fd')) - 1, flush=True)\n\
                  time.sleep(600)\n";
    let weft = builder.config(script).files(64).spawn();
    let said = weft.out().wait_for("the limits", LIMIT, |_| true);
    assert_eq!(said, format!("{} 64 64", weft.pid()));
    let open = weft
        .out()
        .wait_for("its files", LIMIT, |line| !line.contains(' '));
    assert_eq!(weft.open_files().to_string(), open);
}

#[test]
fn who_takes_more_memory_than_allowed_is_killed_and_the_rest_is_not() {
    let limit = match MemoryLimit::mib(64) {
        Ok(limit) => limit,
        Err(why) => return why.skip("memory limit"),
    };
    let (_dir, builder) = python();
    let small = "held = bytearray(16 << 20)\nprint('held', flush=True)\nimport time\ntime.sleep(600)\n";
    let weft = builder.config(small).memory(&limit).spawn();
    weft.out().wait_for("16 MiB", LIMIT, |line| line == "held");
    assert!((16..64).contains(&limit.peak_mib()), "{} MiB", limit.peak_mib());
    assert_eq!(limit.kills(), 0);

    let (_dir, builder) = python();
    let mut greedy = builder
        .config("held = b'x' * (128 << 20)\n")
        .memory(&limit)
        .spawn();
    assert!(!greedy.wait().success());
    assert_eq!(limit.kills(), 1);
}

#[test]
fn the_wall_clock_jumps_and_the_other_one_does_not() {
    let (_dir, builder) = python();
    let clock = Clock::new();
    let script = "import sys, time, threading\n\
                  last = None\n\
                  wall, mono = time.time(), time.monotonic()\n\
                  while True:\n\
                  \x20   time.sleep(0.02)\n\
                  \x20   off = round(time.time() - wall - (time.monotonic() - mono))\n\
                  \x20   if off != last:\n\
                  \x20       last = off\n\
                  \x20       print(off, flush=True)\n";
    let weft = builder.config(script).clock(&clock).spawn();
    weft.out().wait_for("its start", LIMIT, |line| line == "0");
    for offset in [7200, -7200, 0] {
        let mark = weft.out().mark();
        clock.set(offset);
        let wanted = offset.to_string();
        weft.out().wait_from(mark, "a jump", LIMIT, |line| line == wanted);
    }
    assert_eq!(weft.out().tail().lines().count(), 4, "{}", weft.out().tail());
}
