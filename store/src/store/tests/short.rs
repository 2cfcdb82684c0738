//! Files, room and time that the system is short of, for a while.

use super::*;

/// A second has passed since the thread looked round last.
fn look(running: &mut Running) {
    running.committer.looked = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    running.round(false);
}

/// C26 asks for nothing of the kind: the disk is well.
#[test]
fn a_log_that_finds_no_file_for_a_segment_waits_for_one() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    let mut count = 0;
    // Past the first segment, and past a second one.
    for no_files in [false, true, false] {
        sim.set_no_files(no_files);
        for _ in 0..5 {
            running.append("a", count, 60_000, 7).unwrap();
            count += 1;
            running.round(false);
        }
        let log = running.log("a");
        assert!(log.failure().is_none(), "{:?}", log.failure());
        assert_eq!(log.holding().unsynced > 0, no_files);
        running.audit();
        if no_files {
            assert!(running.committer.due().is_some(), "it is tried again");
        }
        sim.set_no_files(false);
        look(&mut running);
        assert_eq!(log.holding().unsynced, 0);
    }
    assert_eq!(running.tokens("a"), (0..count).collect::<Vec<_>>());
    assert!(running.told.failed.lock().unwrap().is_empty());
    drop(running);
    let running = start(&sim.after_kill()).unwrap();
    assert_eq!(running.tokens("a"), (0..count).collect::<Vec<_>>());
}

/// C27: another process has taken all the room; what leaves, a window at a time, still gets as far as the end of a segment.
#[test]
fn a_backlog_leaves_a_disk_that_others_have_filled() {
    let sim = Sim::default();
    let window = 256;
    let bounds = LogSettings {
        max_bytes: 32 << 20,
        window,
        ..bounds()
    };
    let settings = Settings {
        keep_free: 4 << 20,
        ..settings()
    };
    let mut running = start_with(&sim, settings, &bounds).unwrap();
    let mut count = 0;
    for _ in 0..1_400 {
        for _ in 0..10 {
            running.append("a", count, 100, 7).unwrap();
            count += 1;
        }
        running.round(false);
    }
    let log = running.log("a");
    let mut left = 0;
    while left < count {
        // Whatever is free, somebody else takes.
        sim.fill_up();
        let end = (left + 2 * window).min(count);
        // Every second one first, so that the journal has much to say.
        for sequence in (left..end).step_by(2).chain((left + 1..end).step_by(2)) {
            log.acknowledge(sequence..sequence + 1);
            if log.unwritten() >= window / 4 {
                running.round(true);
            }
        }
        running.round(true);
        assert!(
            log.unwritten() < window,
            "{left} of {count} have left, and no more can"
        );
        left = end;
    }
    assert!(log.is_empty() && log.failure().is_none());
    running.audit();
    assert!(
        sim.bytes(Path::new("/store/room")).len() < 4 << 20,
        "it was needed"
    );
    // And is kept again once there is room.
    sim.set_capacity(None);
    look(&mut running);
    assert_eq!(sim.bytes(Path::new("/store/room")).len(), 4 << 20);
}

/// As the router starts: one log after the other, once the store is open.
#[test]
fn room_that_a_log_used_at_the_start_is_kept_again() {
    let sim = Sim::default();
    let settings = || Settings {
        keep_free: 1 << 20,
        ..settings()
    };
    let mut running = start_with(&sim, settings(), &bounds()).unwrap();
    for token in 0..20 {
        running.append("a", token, 300, 7).unwrap();
        running.round(false);
    }
    drop(running);
    let sim = sim.after_kill();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let told = Arc::new(Told::default());
    let keeper: Arc<dyn Keeper<u64>> = told.clone();
    let (store, committer) = Store::assemble(disk, settings(), &[], keeper, Spares::none()).unwrap();
    sim.fill_up();
    store.log("a", bounds()).unwrap();
    let room = || sim.bytes(Path::new("/store/room")).len();
    assert!(room() < 1 << 20, "the start of the log needs some");
    let mut running = Running {
        store,
        committer,
        told,
    };
    sim.set_capacity(None);
    look(&mut running);
    assert_eq!(room(), 1 << 20);
}

#[test]
fn what_was_made_ahead_goes_when_the_disk_is_short_of_room() {
    let sim = Sim::default();
    let settings = Settings {
        keep_free: 1 << 20,
        ..settings()
    };
    let mut running = start_with(&sim, settings, &bounds()).unwrap();
    running.append("a", 0, 100, 7).unwrap();
    running.round(true);
    let log = running.log("a");
    let spares = &running.committer.writer.spares;
    spares.make(&sim, log.id, log.dir.clone(), 256 << 10).unwrap();
    let spare = log.dir.join(crate::spares::NAME);
    assert_eq!(sim.bytes(&spare).len(), 256 << 10);
    sim.set_capacity(Some(sim.bytes_used() + (1 << 19)));
    look(&mut running);
    assert!(!sim.files(&log.dir).iter().any(|(path, _)| *path == spare));
    // The log goes on without it.
    sim.set_capacity(None);
    look(&mut running);
    for token in 1..12 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    assert_eq!(running.tokens("a").len(), 12);
    running.audit();
}

/// C27: one record that is too large for what is left does not close the log to those that are not.
#[test]
fn a_log_that_refused_a_large_record_takes_small_ones_though_nothing_else_happens() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..52 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(true);
    }
    let log = running.log("a");
    assert_eq!(
        running.append("a", 99, 1_200_000, 7),
        Err(Refused::Full),
        "it holds {:?}",
        log.holding()
    );
    assert!(log.is_full());
    running.round(false);
    assert!(running.committer.due().is_some(), "nobody would ever look");
    look(&mut running);
    assert!(!log.is_full());
    // Where there is none for ordinary ones either, it stays full, and is looked at.
    fill_up(&mut running);
    look(&mut running);
    assert!(log.is_full() && running.committer.due().is_some());
    log.acknowledge(0..40);
    running.round(true);
    look(&mut running);
    assert!(!log.is_full());
}

fn fill_up(running: &mut Running) {
    let mut token = 100;
    while running.append("a", token, 60_000, 7).is_ok() {
        token += 1;
        running.round(false);
    }
}

/// C27: the first records of a start are records like others.
#[test]
fn a_start_takes_nothing_while_the_disk_has_less_than_is_to_be_left() {
    let sim = Sim::default();
    sim.set_capacity(Some(2 << 20));
    let settings = Settings {
        keep_free: 4 << 20,
        ..settings()
    };
    let mut running = start_with(&sim, settings, &bounds()).unwrap();
    let log = running.log("a");
    assert!(log.is_disk_low() && running.log("b").is_disk_low());
    assert_eq!(running.append("a", 1, 300, 7), Err(Refused::Full));
    sim.set_capacity(None);
    look(&mut running);
    assert!(!log.is_disk_low() && !log.is_full());
    running.append("a", 1, 300, 7).unwrap();
    running.round(false);
    running.audit();
}
