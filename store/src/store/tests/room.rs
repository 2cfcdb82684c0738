//! Bounds: whose room it is, who hears that there is some again, and what is written when (C21, C27).

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn fill_up(running: &mut Running, name: &str, bytes: usize) -> u64 {
    let mut count = 0;
    while running.append(name, count, bytes, 7).is_ok() {
        count += 1;
        running.round(false);
    }
    count
}

#[test]
fn a_log_with_its_own_space_takes_none_from_others_and_gives_none() {
    let sim = Sim::default();
    let shared = Settings {
        max_bytes: 1 << 20,
        ..settings()
    };
    let own = LogSettings {
        own_space: true,
        max_bytes: 2 << 20,
        ..bounds()
    };
    let mut running = start_with(
        &sim,
        shared,
        &LogSettings {
            max_bytes: 1 << 20,
            ..bounds()
        },
    )
    .unwrap();
    running.store.log("b", own.clone()).unwrap();
    let a = fill_up(&mut running, "a", 50_000);
    assert_eq!(running.append("a", 0, 50_000, 7), Err(Refused::Full));
    let b = fill_up(&mut running, "b", 50_000);
    assert_eq!((a, b), (20, 40), "each has all that was promised to it");
    assert!(running.store.used() <= 1 << 20);
    running.audit();
    // It may move between the two while it is open.
    running
        .store
        .log(
            "b",
            LogSettings {
                own_space: false,
                ..own.clone()
            },
        )
        .unwrap();
    running.audit();
    assert!(running.store.used() > 2 << 20);
    running.store.log("b", own).unwrap();
    running.audit();
    assert!(running.store.used() <= 1 << 20);
}

#[test]
fn who_was_full_hears_of_the_room_that_another_gave() {
    let sim = Sim::default();
    let shared = Settings {
        max_bytes: 1 << 20,
        ..settings()
    };
    let mut running = start_with(&sim, shared, &bounds()).unwrap();
    // Promised more than there is: a log ends with half, and the other with a quarter.
    fill_up(&mut running, "a", 20_000);
    fill_up(&mut running, "b", 20_000);
    let (a, b) = (running.log("a"), running.log("b"));
    assert!(a.is_full() && b.is_full());
    b.acknowledge(0..u64::MAX);
    running.round(true);
    running.committer.close();
    assert!(b.lock().segments.iter().all(|held| held.sealed));
    running.round(true);
    let woken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&woken);
    a.on_change(Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let sealed = a.lock().segments.front().unwrap().range();
    assert!(a.is_full());
    a.acknowledge(0..sealed.end + 5);
    running.round(true);
    assert!(!a.is_full());
    assert!(woken.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_full_log_that_is_acknowledged_on_a_full_disk_frees_itself() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..6_000 {
        running.append("b", token, 8, 7).unwrap();
    }
    fill_up(&mut running, "a", 50_000);
    running.round(true);
    let journals = || sim.list(Path::new("/store/acks")).unwrap().len();
    sim.set_capacity(Some(sim.bytes_used()));
    // Acknowledgements with gaps between them, until not even the journal finds room.
    let (a, b) = (running.log("a"), running.log("b"));
    for sequence in (0..6_000).step_by(2) {
        b.acknowledge(sequence..sequence + 1);
        running.round(true);
    }
    assert!(b.unwritten() > 0, "the journal has room");
    assert!(journals() <= 2, "what could not be written is left");
    let before = a.holding();
    a.acknowledge(0..30);
    running.round(true);
    assert!(a.holding().segments < before.segments && a.holding().bytes < before.bytes);
    // With that there is room for all.
    assert_eq!(running.append("a", 1, 50_000, 7).map(|_| ()), Ok(()));
    running.round(true);
    running.round(true);
    assert_eq!((a.holding().unsynced, a.unwritten(), b.unwritten()), (0, 0, 0));
    assert!(a.failure().is_none() && b.failure().is_none() && journals() <= 2);
    running.audit();
    let found = start(&sim.after_kill()).unwrap().tokens("b");
    assert_eq!(found, (1..6_000).step_by(2).collect::<Vec<_>>());
}

#[test]
fn acknowledgements_are_durable_at_a_quarter_of_the_window_and_no_segment_waits_for_them() {
    let sim = Sim::default();
    let mut running = start_with(
        &sim,
        settings(),
        &LogSettings {
            window: 40,
            ..bounds()
        },
    )
    .unwrap();
    for token in 0..40 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    let log = running.log("a");
    log.acknowledge(0..9);
    running.round(false);
    assert_eq!(log.unwritten(), 9);
    assert!(running.committer.due().is_some());
    log.acknowledge(9..10);
    running.round(false);
    assert_eq!(log.unwritten(), 0);
    // Segments go while acknowledgements keep coming.
    let before = log.holding().segments;
    for sequence in 10..39 {
        log.acknowledge(sequence..sequence + 1);
        log.acknowledge(sequence..sequence + 1);
        running.round(false);
    }
    assert!(log.unwritten() < 10 && log.holding().segments < before / 2);
    assert_eq!(log.open(), 1);
}

#[test]
fn what_was_never_appended_cannot_be_acknowledged() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..4 {
        running.append("a", token, 10, 7).unwrap();
    }
    running.round(false);
    let log = running.log("a");
    log.acknowledge(2..1_000);
    assert_eq!((log.open(), log.is_empty()), (2, false));
    log.acknowledge(0..2);
    assert!(log.is_empty());
    assert_eq!(running.append("a", 4, 10, 7), Ok(4));
    running.round(true);
    assert_eq!(running.tokens("a"), [4]);
    running.audit();
}

#[test]
fn what_the_store_did_is_counted() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    let before = running.store.stats();
    running.append("a", 0, 100, 7).unwrap();
    running.append("b", 0, 100, 7).unwrap();
    running.round(false);
    let after = running.store.stats();
    assert_eq!(after.rounds, before.rounds + 1);
    // Two heads of segments, and two batches.
    assert_eq!(after.syncs, before.syncs + 4);
    assert_eq!(
        after.bytes_written,
        before.bytes_written + 2 * crate::record::span(100)
    );
    assert!(after.sync_time >= after.longest_sync);
}

#[test]
fn c27_a_start_on_a_disk_without_any_room_has_what_is_kept_for_it() {
    for keep_free in [1 << 20, 0] {
        let settings = || Settings {
            keep_free,
            ..settings()
        };
        let mut sim = Sim::default();
        for life in 0..3 {
            let mut running = start_with(&sim, settings(), &bounds()).unwrap();
            for token in 0..20 {
                running.append("a", life * 20 + token, 300, 7).unwrap();
                running.round(false);
            }
            drop(running);
            sim = sim.after_kill();
        }
        sim.fill_up();
        let opened = start_with(&sim, settings(), &bounds());
        let Ok(mut running) = opened else {
            let error = opened.err().unwrap().to_string();
            assert!(keep_free == 0, "{error}");
            continue;
        };
        assert!(keep_free > 0, "a start needs no room");
        assert_eq!(running.all("a").unwrap().0.len(), 60);
        // There is room again, and it is kept for the next time.
        let path = Path::new("/store/room");
        sim.set_capacity(None);
        running.committer.looked = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        running.round(true);
        assert_eq!(sim.bytes(path).len(), 1 << 20);
    }
}

/// What nobody takes for weeks holds a segment: the larger the number of parts, the less.
#[test]
fn a_record_that_stays_holds_no_more_than_its_part_of_the_bound() {
    let held = |parts: u64| {
        let sim = Sim::default();
        let settings = LogSettings {
            max_bytes: 64 << 20,
            parts,
            ..bounds()
        };
        let mut running = start_with(&sim, self::settings(), &settings).unwrap();
        for token in 0..200 {
            running.append("a", token, 50_000, 7).unwrap();
            running.round(false);
        }
        for token in (0..200).filter(|token| token % 100 != 50) {
            running.log("a").acknowledge(token..token + 1);
        }
        running.round(true);
        running.round(true);
        running.log("a").holding()
    };
    let (few, many) = (held(16), held(256));
    assert_eq!((few.open, many.open), (2, 2));
    // Two that stay, and the one that is written to.
    assert!(many.bytes <= 3 * (64 << 20) / 256 + 100_000, "{many:?}");
    assert!(few.bytes > 2 * many.bytes, "{few:?}, {many:?}");
}

/// C27: it resumes by itself, though nothing happens there but that something is refused.
#[test]
fn a_log_that_rests_with_all_of_it_acknowledged_makes_room_once_it_is_needed() {
    let sim = Sim::default();
    sim.set_wall(|| 1_000_000);
    let bounds = LogSettings {
        max_bytes: 100_000,
        ..bounds()
    };
    let mut running = start_with(&sim, settings(), &bounds).unwrap();
    running.append("a", 0, 60_000, 1_000_000).unwrap();
    running.round(false);
    running.log("a").acknowledge(0..1);
    running.round(true);
    running.round(true);
    assert_eq!(running.append("a", 1, 60_000, 1_000_000), Err(Refused::Full));
    running.round(false);
    // Long before it would have given its last segment away for resting.
    sim.set_wall(|| 1_001_000);
    running.round(false);
    assert!(!running.log("a").is_full());
    running.append("a", 1, 60_000, 1_001_000).unwrap();
    running.audit();
}
