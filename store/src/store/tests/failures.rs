//! What fails, one call at a time: every token is told once, and what failed is nobody's any more (C26).

use super::*;
use crate::disk::Real;
use crate::spares::Spares;

#[test]
fn what_failed_is_no_longer_open_and_every_token_is_told_once() {
    for (fault, calls) in [(Fault::Write, 0..3), (Fault::Sync, 0..3)] {
        for call in calls {
            let sim = Sim::default();
            let mut running = start(&sim).unwrap();
            for token in 0..3 {
                running.append("a", token, 100, 7).unwrap();
            }
            running.round(false);
            running.log("a").acknowledge(1..2);
            for token in 3..8 {
                running.append("a", token, 100, 7).unwrap();
            }
            sim.arm(call, fault);
            running.round(false);
            sim.disarm();
            let log = running.log("a");
            let failed = std::mem::take(&mut *running.told.failed.lock().unwrap());
            if failed.is_empty() {
                assert!(!log.is_failed());
                continue;
            }
            assert_eq!(failed, [3, 4, 5, 6, 7]);
            assert!(log.is_failed() && log.failure().is_some());
            assert_eq!(log.open(), 2, "the two that were durable before");
            assert!(matches!(running.append("a", 9, 10, 7), Err(Refused::Failed(_))));
            running.audit();
            assert_eq!(running.tokens("a"), [0, 2], "what was durable is still read");
            log.acknowledge(0..u64::MAX);
            running.round(true);
            assert!(log.is_empty());
            running.audit();
        }
    }
}

#[test]
fn after_a_failed_sync_the_file_is_neither_written_nor_synced_again() {
    for interval in [None, Some(Duration::from_secs(3600))] {
        let sim = Sim::default();
        let sync = interval.map_or(Sync::Always, Sync::Interval);
        let mut running = start_with(&sim, Settings { sync, ..settings() }, &bounds()).unwrap();
        running.append("a", 0, 100, 7).unwrap();
        running.round(true);
        running.append("a", 1, 100, 7).unwrap();
        running.round(false);
        running.append("a", 2, 100, 7).unwrap();
        // The batch is one write; the sync that follows fails.
        sim.arm(2, Fault::Sync);
        running.round(true);
        assert!(running.log("a").is_failed(), "{interval:?}");
        let path = Path::new("/store/logs/a").join(crate::segment::Title::name(1));
        let before = sim.bytes(&path);
        let syncs = running.store.stats().syncs;
        running.round(true);
        running.committer.close();
        assert_eq!(sim.bytes(&path), before);
        assert_eq!(running.store.stats().syncs, syncs, "{interval:?}");
    }
}

#[test]
fn a_sync_that_finds_no_room_is_a_failure_and_not_tried_again() {
    // Of a batch; of the mark of a log that rests; of a seal.
    for what in 0..3 {
        let sim = Sim::default();
        let mut running = start(&sim).unwrap();
        running.append("a", 0, 100, 7).unwrap();
        running.round(what == 2);
        let log = running.log("a");
        match what {
            0 => {
                running.append("a", 1, 100, 7).unwrap();
                sim.arm(1, Fault::SyncFull);
                running.round(false);
            }
            1 => {
                // The free space is looked at before.
                sim.arm(2, Fault::SyncFull);
                running.round(true);
            }
            _ => {
                log.acknowledge(0..1);
                running.round(true);
                sim.set_wall(|| Real.wall_ms() + 3_600_000);
                // A write, the cut, and the sync.
                sim.arm(2, Fault::SyncFull);
                running.round(false);
            }
        }
        assert!(log.is_failed(), "{what}");
        assert_eq!(
            *running.told.failed.lock().unwrap(),
            if what == 0 { vec![1] } else { vec![] }
        );
    }
}

#[test]
fn with_an_interval_a_log_that_failed_is_not_synced_any_more() {
    let sim = Sim::default();
    let sync = Sync::Interval(Duration::from_secs(3600));
    let mut running = start_with(&sim, Settings { sync, ..settings() }, &bounds()).unwrap();
    running.append("a", 0, 100, 7).unwrap();
    running.round(false);
    running.append("a", 1, 100, 7).unwrap();
    sim.arm(0, Fault::Write);
    running.round(false);
    assert!(running.log("a").is_failed());
    let syncs = running.store.stats().syncs;
    running.round(true);
    assert_eq!(running.store.stats().syncs, syncs);
}

#[test]
fn a_roll_that_finds_no_room_is_made_up_for_and_the_reader_goes_on() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    let mut told = 0;
    // At each call of a roll in turn there is no room.
    for capacity in 0..40 {
        running.append("a", told, 60_000, 7).unwrap();
        told += 1;
        sim.set_capacity(Some(sim.bytes_used() + capacity * 1_500));
        running.round(false);
        sim.set_capacity(None);
        running.round(true);
        assert_eq!(running.log("a").failure(), None);
        assert_eq!(running.log("a").holding().unsynced, 0);
        running.audit();
        let tokens = running.tokens("a");
        assert_eq!(tokens.last(), Some(&(told - 1)), "the reader is stuck");
        running.log("a").acknowledge(0..told.saturating_sub(6));
    }
    drop(running);
    let found = start(&sim.after_kill()).unwrap().tokens("a");
    assert!(
        found.ends_with(&(told - 6..told).collect::<Vec<_>>()),
        "{found:?}"
    );
}

#[test]
fn a_spare_that_keeps_its_name_fails_the_log_and_is_cleared_away_by_the_next_start() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    running.committer.writer.spares = Spares::none();
    for token in 0..4 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    let log = running.log("a");
    running
        .committer
        .writer
        .spares
        .make(&sim, log.id, log.dir.clone(), 256 << 10)
        .unwrap();
    for token in 4..6 {
        running.append("a", token, 60_000, 7).unwrap();
    }
    for call in 0..12 {
        sim.arm(call, Fault::Rename);
    }
    running.round(false);
    sim.disarm();
    assert!(log.is_failed());
    assert_eq!(*running.told.failed.lock().unwrap(), [4, 5]);
    assert_eq!(running.tokens("a"), [0, 1, 2, 3]);
    drop((running, log));
    let sim = sim.after_kill();
    assert!(
        sim.list(Path::new("/store/logs/a"))
            .unwrap()
            .contains(&"spare".to_owned())
    );
    let mut running = start(&sim).unwrap();
    assert_eq!(running.tokens("a"), [0, 1, 2, 3]);
    assert!(
        !sim.list(Path::new("/store/logs/a"))
            .unwrap()
            .contains(&"spare".to_owned())
    );
    running.append("a", 4, 10, 7).unwrap();
    running.round(true);
    assert_eq!(running.tokens("a"), [0, 1, 2, 3, 4]);
}

#[test]
fn a_segment_made_ahead_is_written_like_any_other() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    let log = running.log("a");
    running
        .committer
        .writer
        .spares
        .make(&sim, log.id, log.dir.clone(), 256 << 10)
        .unwrap();
    for token in 0..12 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    running.audit();
    for seed in 0..20 {
        let sim = sim.after_power_cut(&mut fastrand::Rng::with_seed(seed));
        assert_eq!(start(&sim).unwrap().tokens("a"), (0..12).collect::<Vec<_>>());
    }
}

#[test]
fn a_spare_that_finds_no_room_leaves_none_taken() {
    let sim = Sim::default();
    let running = start(&sim).unwrap();
    let log = running.log("a");
    let before = sim.bytes_used();
    sim.set_capacity(Some(before + (1 << 20)));
    let made = running
        .committer
        .writer
        .spares
        .make(&sim, log.id, log.dir.clone(), 4 << 20);
    assert!(made.is_err());
    assert_eq!(sim.bytes_used(), before);
}

/// A keeper that panics where it should not.
struct Bad(Arc<Told>);

impl Keeper<u64> for Bad {
    fn stored(&self, log: &Arc<Log<u64>>, first: u64, tokens: Vec<u64>) {
        assert!(!tokens.contains(&13), "a fault");
        self.0.stored(log, first, tokens);
    }

    fn failed(&self, log: &Arc<Log<u64>>, tokens: Vec<u64>, why: &Arc<str>) {
        self.0.failed(log, tokens, why);
    }
}

#[test]
fn a_panic_of_the_thread_fails_all_logs_and_what_they_had() {
    let sim = Sim::default();
    let told = Arc::new(Told::default());
    let names = ["a", "b"].map(|name| (name.to_owned(), bounds()));
    let keeper = Arc::new(Bad(Arc::clone(&told)));
    let (store, committer) =
        Store::assemble(Arc::new(sim.clone()), settings(), &names, keeper, Spares::none()).unwrap();
    let (a, b) = (
        store.log("a", bounds()).unwrap(),
        store.log("b", bounds()).unwrap(),
    );
    for (log, token) in [(&a, 13), (&b, 14)] {
        log.append(&[b"x"], (token, Claim::New), 7, |_| true).unwrap();
    }
    committer.run();
    assert!(a.is_failed() && b.is_failed());
    assert_eq!(
        *told.failed.lock().unwrap(),
        [14],
        "13 was in the hands of the keeper"
    );
    assert_eq!((a.open(), b.open()), (1, 0));
}

#[test]
fn what_finds_no_room_until_the_close_is_given_back() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    running.append("a", 0, 100, 7).unwrap();
    running.round(false);
    sim.set_capacity(Some(sim.bytes_used()));
    running.append("a", 1, 600_000, 7).unwrap();
    running.round(false);
    assert_eq!(running.log("a").holding().unsynced, 1);
    running.round(true);
    running.committer.close();
    assert_eq!(*running.told.failed.lock().unwrap(), [1]);
    assert_eq!(running.log("a").open(), 1);
}

#[test]
fn acknowledgements_of_logs_that_are_gone_are_forgotten_and_of_others_kept() {
    let mut sim = Sim::default();
    for lifetime in 0..20 {
        sim = sim.after_kill();
        let mut running = start(&sim).unwrap();
        for name in ["a", "b"] {
            running.append(name, lifetime, 100, 7).unwrap();
        }
        running.round(true);
        running.log("a").acknowledge(0..u64::MAX);
        running.round(true);
        running.committer.close();
        running.round(true);
        drop(running);
    }
    let known = crate::journal::Journal::read(&sim, Path::new("/store/acks")).unwrap();
    assert!(known.len() <= 4, "{known:?}");
}

#[test]
fn a_log_that_is_gone_stays_gone_with_its_acknowledgements() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..3 {
        running.append("a", token, 100, 7).unwrap();
    }
    running.round(true);
    running.log("a").acknowledge(0..3);
    running.round(true);
    running.committer.close();
    running.round(true);
    assert_eq!(running.log("a").holding().segments, 0);
    drop(running);
    // These starts find no log, and forget what was acknowledged of it; the first has still the journal before its own.
    let sim = sim.after_kill();
    for _ in 0..3 {
        drop(start(&sim).unwrap());
    }
    for seed in 0..20 {
        let sim = sim.after_power_cut(&mut fastrand::Rng::with_seed(seed));
        assert_eq!(start(&sim).unwrap().tokens("a"), [], "it came back");
    }
}

#[test]
fn the_last_segment_holds_the_place_of_the_next_sequence() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..8 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    running.committer.close();
    let log = running.log("a");
    let last = log.lock().segments.back().unwrap().range();
    assert!(log.holding().segments > 1);
    // Acknowledged, and not yet durably so.
    log.acknowledge(last.clone());
    running.committer.retainer.sweep(&log);
    let running = start(&sim.after_kill()).unwrap();
    assert_eq!(running.log("a").lock().next, 8, "a sequence would be given again");
    assert_eq!(running.tokens("a").len(), 8);
}

#[test]
fn a_seal_never_says_more_than_the_disk_has() {
    let sync = Sync::Interval(Duration::from_secs(3600));
    for call in 0..8 {
        let sim = Sim::default();
        let mut running = start_with(&sim, Settings { sync, ..settings() }, &bounds()).unwrap();
        for token in 0..4 {
            running.append("a", token, 60_000, 7).unwrap();
            running.round(false);
        }
        // None of it is synced, and the next one is for another segment.
        running.append("a", 4, 60_000, 7).unwrap();
        sim.arm(call, Fault::PowerCut);
        running.round(false);
        for seed in 0..60 {
            let sim = sim.after_power_cut(&mut fastrand::Rng::with_seed(seed));
            let (_, damaged) = start(&sim).unwrap().all("a").unwrap();
            assert_eq!(damaged, 0, "power cut at call {call}, seed {seed}");
        }
    }
}
