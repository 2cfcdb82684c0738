//! A store on a disk that is full, fails, is damaged, copied, taken, of another format, or not to be written to: with the
//! real binary, over real files (C24-C28).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::{LIMIT, wait_metric, weft, with_head};
use weft_rig::http::Response;
use weft_rig::{BadDisk, Dir, Failing, Receiver, SmallDisk, Weft, WeftBuilder, eventually, free_port, http};

const CRASH: &str = "WEFT_CRASH_AT";
const PENDING: &str = "weft_store_pending_events";

/// A router with a store in front of one receiver, which is away at first.
struct Stored {
    weft: Weft,
    receiver: Receiver,
    port: u16,
}

/// Its file: where the store is, and what is said of it; and what is said of the destination's.
fn yaml(receiver: &Receiver, port: u16, store: &str, own: &str) -> String {
    format!(
        "store: {{ {store} }}\n\
         ingress:\n  in: {{ http: {{ listen: \"127.0.0.1:{port}\", deadline: 2s }} }}\n\
         destinations:\n  out:\n    http: {{ url: \"{}\" }}\n    store: {own}\n    breaker: {{ initial: 50ms, max: 200ms }}\n\
         routes:\n  all: {{ to: out }}\n",
        receiver.url("/")
    )
}

/// In the router's own directory, with room enough.
const HERE: &str = "path: \"${DIR}/store\", keep_free: 1MiB";

impl Stored {
    fn start(store: &str, own: &str, build: impl FnOnce(WeftBuilder) -> WeftBuilder) -> Stored {
        let (receiver, port) = (Receiver::closed(free_port()), free_port());
        let weft = build(weft(&yaml(&receiver, port, store, own))).start();
        Stored { weft, receiver, port }
    }

    fn here() -> Stored {
        Stored::start(HERE, "true", |builder| builder)
    }

    fn post(&self, id: usize, bytes: usize) -> Response {
        post(self.port, id, bytes)
    }

    /// Posts events that must be taken; returns their ids.
    fn take(&self, ids: std::ops::Range<usize>) -> BTreeSet<usize> {
        let taken = |id: &usize| {
            let status = self.post(*id, 300).status;
            assert_eq!(status, 202, "event {id}: {}", self.weft.log().tail());
        };
        ids.inspect(taken).collect()
    }

    fn store(&self) -> PathBuf {
        self.weft.dir().join("store")
    }

    /// Sends the signal and waits for its end.
    fn stop(&mut self) {
        self.weft.sigterm();
        assert_eq!(self.weft.wait().code(), Some(0), "{}", self.weft.log().tail());
    }

    /// Lets the receiver be there, and waits until it has all of these.
    fn deliver(&mut self, ids: &BTreeSet<usize>) -> BTreeSet<usize> {
        self.receiver.open();
        wait_arrived(&self.receiver, ids, &self.weft)
    }
}

fn post(port: u16, id: usize, bytes: usize) -> Response {
    let data = format!("{{\"n\": {id}, \"pad\": \"{}\"}}", "x".repeat(bytes));
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", &id.to_string()),
        ("ce-source", "/tests"),
        ("ce-type", "com.example.test"),
        ("content-type", "application/json"),
    ];
    http::post(port, "/", &headers, data).unwrap()
}

fn arrived(receiver: &Receiver) -> BTreeSet<usize> {
    let accepted = receiver.requests().into_iter().filter(|request| request.accepted);
    accepted
        .map(|request| request.header("ce-id").unwrap().parse().unwrap())
        .collect()
}

/// Waits until the receiver has all of these; returns what it has.
#[track_caller]
fn wait_arrived(receiver: &Receiver, ids: &BTreeSet<usize>, weft: &Weft) -> BTreeSet<usize> {
    let end = std::time::Instant::now() + LIMIT;
    eventually("what was acknowledged", 2 * LIMIT, || {
        let arrived = arrived(receiver);
        let missing: Vec<_> = ids.difference(&arrived).collect();
        let late = std::time::Instant::now() > end;
        assert!(!late, "{missing:?} are lost; the log:\n{}", weft.log().tail());
        missing.is_empty().then_some(arrived)
    })
}

/// The segments of the destination's log.
fn segments(store: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = names(&store.join("logs/d.out"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .collect();
    found.sort();
    found
}

fn names(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// What a store holds, by file.
fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut open, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(names(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Posts large events until one is refused for want of room; returns those that were acknowledged.
fn fill(stored: &Stored, first: usize) -> BTreeSet<usize> {
    let mut taken = BTreeSet::new();
    for id in first..first + 4_000 {
        let answer = stored.post(id, 60_000);
        match answer.status {
            202 => taken.insert(id),
            503 => {
                let after = answer.header("retry-after").map(str::parse::<u64>);
                assert!(matches!(after, Some(Ok(_))), "503 without a time: {answer:?}");
                return taken;
            }
            // It was on its way to the disk that has no room: it will be there, or not.
            504 => false,
            other => panic!("{other}: {}", stored.weft.log().tail()),
        };
    }
    panic!("it is never full");
}

/// Full, refusing at once and for as long as it is so; then it has room by itself.
fn fills_and_resumes(mut stored: Stored) {
    let mut taken = fill(&stored, 0);
    assert!(taken.len() > 10, "{} were taken", taken.len());
    wait_metric(&stored.weft, "weft_store_full", &[("log", "out")], 1.0);
    for id in 50_000..50_010 {
        assert_eq!(stored.post(id, 300).status, 503);
    }
    assert_eq!(stored.weft.metrics().sum("weft_store_failed", &[]).round(), 0.0);
    assert_eq!(stored.weft.get("/healthz").status, 200);
    // It starts on a full disk, and takes what there is room for.
    for life in 1..4 {
        stored.weft.kill9();
        stored.weft.restart();
        taken.extend(fill(&stored, life * 4_000));
    }
    stored.deliver(&taken);
    eventually("room", LIMIT, || {
        (stored.post(60_000, 60_000).status == 202).then_some(())
    });
    wait_metric(&stored.weft, PENDING, &[], 0.0);
    assert!(arrived(&stored.receiver).contains(&60_000));
    wait_metric(&stored.weft, "weft_store_full", &[("log", "out")], 0.0);
}

#[test]
fn c27_a_full_disk_refuses_loses_nothing_and_resumes_by_itself() {
    let disk = match SmallDisk::mib(32) {
        Ok(disk) => disk,
        Err(why) => return why.skip("a disk that is full"),
    };
    let store = format!("path: \"{}/store\", keep_free: 1MiB", disk.path().display());
    let stored = Stored::start(&store, "true", |builder| builder);
    let left = stored
        .weft
        .metrics()
        .sum("weft_store_left_bytes", &[("of", "disk")]);
    assert!((1e6..32.0 * 1024.0 * 1024.0).contains(&left), "{left}");
    fills_and_resumes(stored);
}

#[test]
fn c27_a_full_log_refuses_loses_nothing_and_resumes_by_itself() {
    let stored = Stored::start(HERE, "{ max_bytes: 4MiB }", |builder| builder);
    let max = [("log", "out")];
    wait_metric(&stored.weft, "weft_store_max_bytes", &max, 4.0 * 1024.0 * 1024.0);
    fills_and_resumes(stored);
}

#[test]
fn c28_a_second_process_on_the_same_directory_does_not_start() {
    let mut stored = Stored::here();
    let taken = stored.take(0..20);
    let path = stored.store();
    let before = content(&path.join("logs"));
    let other = Receiver::start();
    let store = format!("path: \"{}\", keep_free: 1MiB", path.display());
    let mut second = weft(&yaml(&other, free_port(), &store, "true")).spawn();
    assert_eq!(second.wait().code(), Some(69), "it may start later");
    let words = "another process has the store";
    second.log().wait_for(words, LIMIT, |line| line.contains(words));
    assert_eq!(content(&path.join("logs")), before);
    stored.deliver(&taken);
    assert_eq!(other.count(), 0);
}

#[test]
fn c28_a_copy_that_is_made_under_load_has_all_that_was_acknowledged_before() {
    let stored = Stored::start(
        "path: \"${DIR}/store\", keep_free: 1MiB, max_bytes: 16MiB",
        "true",
        |builder| builder,
    );
    let before = stored.take(0..500);
    let copies = Dir::new("copy");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        for client in 1..=4 {
            let stored = &stored;
            scope.spawn(move || {
                for n in 0.. {
                    if stopped() {
                        return;
                    }
                    stored.post(client * 100_000 + n, 1_500);
                }
            });
        }
        for copy in 0..3 {
            let to = copies.path().join(copy.to_string());
            // What goes away while it is copied makes it end with an error, and is nothing that a destination is owed.
            let _ = Command::new("cp")
                .arg("-r")
                .arg(stored.store())
                .arg(&to)
                .output()
                .unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    for copy in 0..3 {
        let receiver = Receiver::start();
        let path = copies.path().join(copy.to_string());
        let store = format!("path: \"{}\", keep_free: 1MiB, max_bytes: 16MiB", path.display());
        let opened = weft(&yaml(&receiver, free_port(), &store, "true")).start();
        wait_arrived(&receiver, &before, &opened);
        wait_metric(&opened, PENDING, &[], 0.0);
    }
}

/// Changes one byte of the data of an event.
fn damage(store: &Path, id: usize) {
    let wanted = format!("\"n\": {id}, ");
    for path in segments(store) {
        let mut bytes = fs::read(&path).unwrap();
        let found = bytes
            .windows(wanted.len())
            .position(|part| part == wanted.as_bytes());
        if let Some(at) = found {
            bytes[at] ^= 1;
            return fs::write(&path, bytes).unwrap();
        }
    }
    panic!("event {id} is in no segment");
}

/// One record is gone and told, and nothing else.
fn judge_damage(mut stored: Stored, mut taken: BTreeSet<usize>, id: usize) {
    taken.remove(&id);
    assert_eq!(stored.deliver(&taken), taken);
    wait_metric(&stored.weft, PENDING, &[], 0.0);
    let damaged = [("log", "out"), ("result", "damaged")];
    wait_metric(&stored.weft, "weft_store_settled_total", &damaged, 1.0);
    let aside = names(&stored.store().join("quarantine"));
    assert_eq!(aside.len(), 1, "{aside:?}");
    let (copy, wanted) = (fs::read(&aside[0]).unwrap(), "x".repeat(300));
    assert!(copy.windows(300).any(|part| part == wanted.as_bytes()));
}

#[test]
fn c25_a_flipped_byte_costs_one_record_that_is_set_aside_and_told() {
    for kill in [false, true] {
        let mut stored = Stored::here();
        let taken = stored.take(0..50);
        if kill {
            // Its end is marked once it has rested, and damage is told from a tear.
            eventually("a log that rests", LIMIT, || {
                let bytes = fs::read(&segments(&stored.store())[0]).unwrap();
                std::thread::sleep(Duration::from_millis(300));
                (fs::read(&segments(&stored.store())[0]).unwrap() == bytes).then_some(())
            });
            stored.weft.kill9();
        } else {
            stored.stop();
        }
        damage(&stored.store(), 25);
        stored.weft.restart();
        judge_damage(stored, taken, 25);
    }
}

#[test]
fn c25_damage_is_set_aside_though_the_process_ends_in_the_middle_of_it() {
    for point in [
        "store.quarantine.made",
        "store.quarantine.written",
        "store.quarantine.synced",
    ] {
        let mut stored = Stored::here();
        let taken = stored.take(0..50);
        stored.stop();
        damage(&stored.store(), 25);
        stored.weft.set_env(CRASH, Some(&format!("{point}:1")));
        stored.weft.launch_again();
        assert!(!stored.weft.wait().success(), "void: {point} did not end it");
        stored.weft.set_env(CRASH, None);
        stored.weft.restart();
        judge_damage(stored, taken, 25);
    }
}

#[test]
fn c28_a_store_that_was_being_made_when_the_process_ended_is_made() {
    for point in ["store.format.written", "store.format.synced"] {
        let (receiver, port) = (Receiver::closed(free_port()), free_port());
        let builder = weft(&yaml(&receiver, port, HERE, "true"));
        let mut weft = builder.env(CRASH, &format!("{point}:1")).spawn();
        assert!(!weft.wait().success(), "void: {point} did not end it");
        weft.set_env(CRASH, None);
        weft.restart();
        let mut stored = Stored { weft, receiver, port };
        let taken = stored.take(0..20);
        stored.deliver(&taken);
    }
}

/// It does not start, says why, and has harmed nothing.
#[track_caller]
fn does_not_start(stored: &mut Stored, words: &str) {
    let before = content(&stored.store().join("logs"));
    stored.weft.launch_again();
    assert_eq!(stored.weft.wait().code(), Some(64), "the same again fails again");
    stored
        .weft
        .log()
        .wait_for(words, LIMIT, |line| line.contains(words));
    assert_eq!(content(&stored.store().join("logs")), before);
}

#[test]
fn a_directory_of_another_format_is_refused_and_not_harmed() {
    let mut stored = Stored::here();
    let taken = stored.take(0..20);
    stored.stop();
    let format = stored.store().join("format");
    let known = fs::read(&format).unwrap();
    for other in ["weft store 2\n", "", "something else"] {
        fs::write(&format, other).unwrap();
        does_not_start(&mut stored, "use the version that wrote it");
        assert_eq!(fs::read(&format).unwrap(), other.as_bytes());
    }
    fs::write(&format, known).unwrap();
    stored.weft.restart();
    stored.deliver(&taken);
}

#[test]
fn a_path_that_cannot_be_written_to_is_said_at_the_start() {
    let receiver = Receiver::start();
    let refused = |store: &str, words: &str| {
        let mut weft = weft(&yaml(&receiver, free_port(), store, "true")).spawn();
        assert_eq!(weft.wait().code(), Some(64), "the same again fails again");
        let is_it = |line: &str| line.contains("the store at") && line.contains(words);
        weft.log().wait_for(words, LIMIT, is_it);
    };
    for below in ["", "/store", "/store/below"] {
        let path = format!("path: \"${{DIR}}/weft.yaml{below}\"");
        refused(&path, "weft.yaml is a file: name a directory");
    }
    refused("path: /proc/weft", "making the directory");
    let wrong = yaml(&receiver, free_port(), "path: /proc/weft", "true");
    let mut json = weft(&wrong).env("WEFT_LOG", "json").spawn();
    assert_eq!(json.wait().code(), Some(64));
    let is_line = |line: &str| {
        let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
        line.is_some_and(|line| line["exit_code"] == 64 && line["level"] == "ERROR")
    };
    json.log().wait_for("the reason, as JSON", LIMIT, is_line);
    let disk = match SmallDisk::mib(32) {
        Ok(disk) => disk,
        Err(why) => return why.skip("a disk that cannot be written to"),
    };
    disk.set_writable(false).unwrap();
    let path = format!("path: \"{}/store\"", disk.path().display());
    refused(&path, "Read-only file system");
}

/// A start cannot deliver what it finds for a destination that is not in the file: it says so, once, with what an operator
/// has to know.
#[test]
fn a_log_whose_destination_is_gone_is_told_once_with_how_much_and_what_to_do() {
    let mut stored = Stored::here();
    let taken = stored.take(0..20);
    stored.stop();
    let with = yaml(&stored.receiver, stored.port, HERE, "true");
    let without = with.replace("out:", "other:").replace("to: out", "to: other");
    stored.weft.rewrite(&with_head(&without));
    stored.weft.restart();
    // What a start has found is said, too.
    let found = |line: &str| line.contains("the store is open") && line.contains("events=20 ");
    stored.weft.log().wait_for("what was found", LIMIT, found);
    let orphaned = [("log", "out")];
    wait_metric(&stored.weft, "weft_store_orphaned_events", &orphaned, 20.0);
    wait_metric(&stored.weft, PENDING, &orphaned, 20.0);
    stored.weft.sighup();
    wait_metric(&stored.weft, "weft_config_reloads_total", &[], 1.0);
    let log = stored.weft.log().all();
    let lines: Vec<_> = log
        .iter()
        .filter(|line| line.contains("nobody delivers"))
        .collect();
    assert_eq!(lines.len(), 1, "{log:#?}");
    for word in ["ERROR", "events=20", "oldest=", "removed: { out: purge }"] {
        assert!(lines[0].contains(word), "{word}: {}", lines[0]);
    }
    stored.weft.rewrite(&with_head(&with));
    stored.weft.sighup();
    stored.deliver(&taken);
    wait_metric(&stored.weft, "weft_store_orphaned_events", &orphaned, 0.0);
}

/// What comes while calls fail is not acknowledged, what was acknowledged is delivered, and a restart goes on.
fn fails(failing: Failing) {
    let disk = BadDisk::new();
    let mut stored = Stored::start(HERE, "true", |builder| builder.disk(&disk));
    let mut taken = stored.take(0..50);
    disk.set(failing);
    for id in 100..120 {
        // Of what was being written nobody knows whether it will be there.
        let answer = stored.post(id, 300);
        assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    }
    wait_metric(&stored.weft, "weft_store_failed", &[("log", "out")], 1.0);
    // The same file is not tried again, though the disk is well (C26).
    disk.set(Failing::Nothing);
    assert_eq!(stored.post(120, 300).status, 503);
    assert!(stored.weft.metrics().sum("weft_store_refused_total", &[]) > 0.5);
    stored.receiver.open();
    wait_arrived(&stored.receiver, &taken, &stored.weft);
    stored.weft.sigterm();
    stored.weft.wait();
    stored.weft.restart();
    taken.extend(stored.take(200..220));
    wait_arrived(&stored.receiver, &taken, &stored.weft);
    wait_metric(&stored.weft, PENDING, &[], 0.0);
}

#[test]
fn c26_after_a_failed_sync_nothing_is_acknowledged_and_what_was_is_delivered() {
    fails(Failing::Syncs);
}

#[test]
fn c26_after_a_failed_write_nothing_is_acknowledged_and_what_was_is_delivered() {
    fails(Failing::Writes);
}

#[test]
fn c25_reads_that_fail_are_no_damage_and_are_tried_again() {
    let disk = BadDisk::new();
    let mut stored = Stored::start(HERE, "true", |builder| builder.disk(&disk));
    let taken = stored.take(0..50);
    stored.stop();
    stored.weft.restart();
    disk.set(Failing::Reads);
    let more = stored.take(50..60);
    stored.receiver.open();
    stored.weft.log().wait_for("a read that fails", LIMIT, |line| {
        line.contains("reading the store")
    });
    disk.set(Failing::Nothing);
    wait_arrived(&stored.receiver, &taken, &stored.weft);
    wait_arrived(&stored.receiver, &more, &stored.weft);
    wait_metric(&stored.weft, PENDING, &[], 0.0);
    assert_eq!(
        names(&stored.store().join("quarantine")),
        [""; 0].map(PathBuf::from)
    );
}
