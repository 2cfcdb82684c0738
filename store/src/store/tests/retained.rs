//! Segments that are acknowledged and stay for a while.

use std::cell::Cell;

use super::*;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1_000_000_000) };
}

const HOUR: u64 = 3_600_000;
const BYTES: usize = 60_000;

fn now() -> u64 {
    NOW.get()
}

fn retaining() -> LogSettings {
    LogSettings {
        retain: Some(Duration::from_secs(3600)),
        ..bounds()
    }
}

fn open(sim: &Sim, settings: &LogSettings) -> Running {
    sim.set_wall(now);
    start_with(sim, self::settings(), settings).unwrap()
}

/// Appends so many records, each durable.
fn fill(running: &mut Running, name: &str, tokens: std::ops::Range<u64>) {
    for token in tokens {
        running.append(name, token, BYTES, now()).unwrap();
        running.round(false);
    }
}

fn acknowledge_all(running: &mut Running, name: &str) {
    running.log(name).acknowledge(0..u64::MAX);
    running.round(true);
}

fn everything(running: &Running, name: &str) -> Vec<u64> {
    let mut records = Vec::new();
    running
        .store
        .reader(&running.log(name), false)
        .read(EVERYTHING, &mut records)
        .unwrap();
    records.iter().map(token_of).collect()
}

fn files(sim: &Sim, name: &str) -> usize {
    sim.list(&Path::new("/store/logs").join(name)).unwrap().len()
}

#[test]
fn an_acknowledged_segment_stays_so_long_and_goes_when_nothing_is_appended_any_more() {
    let sim = Sim::default();
    let mut running = open(&sim, &retaining());
    fill(&mut running, "a", 0..20);
    acknowledge_all(&mut running, "a");
    assert!(files(&sim, "a") > 3);
    assert_eq!(running.tokens("a"), [], "a reader of what is open passes over it");
    assert_eq!(
        everything(&running, "a"),
        (0..20).collect::<Vec<_>>(),
        "and the other reads it"
    );
    let holding = running.log("a").holding();
    assert!(
        holding.retained > 0 && holding.bytes < holding.retained,
        "{holding:?}"
    );
    running.audit();
    // A restart changes nothing of it.
    running.committer.close();
    drop(running);
    let mut running = open(&sim.after_kill(), &retaining());
    running.round(false);
    assert_eq!(everything(&running, "a"), (0..20).collect::<Vec<_>>());
    NOW.set(now() + HOUR - 1);
    running.round(false);
    assert_eq!(everything(&running, "a").len(), 20);
    assert!(running.committer.due().is_some(), "the thread wakes by itself");
    NOW.set(now() + 1);
    running.round(false);
    // The last segment was sealed by the start; with it all are gone.
    assert_eq!(everything(&running, "a"), []);
    assert_eq!(running.log("a").holding().retained, 0);
    running.audit();
}

/// C31: a clock that is set ahead makes nothing old that came a moment ago.
#[test]
fn a_clock_that_steps_ahead_takes_away_nothing_that_is_retained() {
    let sim = Sim::default();
    let mut running = open(&sim, &retaining());
    fill(&mut running, "a", 0..20);
    acknowledge_all(&mut running, "a");
    let kept = everything(&running, "a").len();
    assert!(kept > 0);
    NOW.set(now() + 1000 * HOUR);
    sim.wall_has_stepped(Duration::from_secs(1000 * 3600));
    running.round(true);
    assert_eq!(everything(&running, "a").len(), kept);
    NOW.set(now() + HOUR - 1);
    running.round(true);
    assert_eq!(everything(&running, "a").len(), kept);
    NOW.set(now() + 2);
    running.round(true);
    assert!(everything(&running, "a").len() < kept, "it is old by now");
    running.audit();
}

#[test]
fn an_empty_log_that_rests_gives_its_last_segment_away_and_goes_on_behind_it() {
    let sim = Sim::default();
    let mut running = open(&sim, &bounds());
    fill(&mut running, "a", 0..3);
    acknowledge_all(&mut running, "a");
    assert_eq!(files(&sim, "a"), 1);
    NOW.set(now() + 59_999);
    running.round(false);
    assert_eq!(files(&sim, "a"), 1);
    assert!(running.committer.due().is_some());
    NOW.set(now() + 1);
    running.round(false);
    assert_eq!(files(&sim, "a"), 0);
    assert_eq!(running.log("a").holding().bytes, 0);
    assert_eq!(running.append("a", 3, BYTES, now()), Ok(3), "sequences go on");
    running.round(true);
    assert_eq!(running.tokens("a"), [3]);
    running.audit();
    // Segments that a power cut brings back are older than the new one.
    for seed in 0..20 {
        let sim = sim.after_power_cut(&mut fastrand::Rng::with_seed(seed));
        assert_eq!(open(&sim, &bounds()).tokens("a"), [3]);
    }
}

#[test]
fn what_is_retained_never_makes_a_log_full_and_what_is_open_never_goes() {
    let sim = Sim::default();
    let mut running = open(&sim, &retaining());
    let mut open_from = 0;
    // Many times what the log may have, at one moment.
    for round in 0..20 {
        fill(&mut running, "a", round * 10..round * 10 + 10);
        running.log("a").acknowledge(0..round * 10 + 5);
        open_from = round * 10 + 5;
        running.round(true);
        let holding = running.log("a").holding();
        assert!(
            holding.bytes + holding.retained <= retaining().max_bytes + 300_000,
            "{holding:?}"
        );
        running.audit();
    }
    assert_eq!(running.tokens("a"), (open_from..200).collect::<Vec<_>>());
    let all = everything(&running, "a");
    assert!(all.len() > 20 && all.len() < 100, "{}", all.len());
    assert_eq!(all.last(), Some(&199));
}

#[test]
fn what_one_log_retains_goes_for_what_another_keeps() {
    let sim = Sim::default();
    let shared = Settings {
        max_bytes: 2 << 20,
        ..settings()
    };
    let mut running = start_with(
        &sim,
        shared,
        &LogSettings {
            max_bytes: 2 << 20,
            ..retaining()
        },
    )
    .unwrap();
    sim.set_wall(now);
    for tokens in [0..15, 15..28] {
        fill(&mut running, "a", tokens);
        acknowledge_all(&mut running, "a");
    }
    assert_eq!(everything(&running, "a"), (0..28).collect::<Vec<_>>());
    // More is promised than there is: half of it is for one log.
    fill(&mut running, "b", 0..14);
    let total = |running: &Running, name: &str| {
        let holding = running.log(name).holding();
        holding.bytes + holding.retained
    };
    assert!(total(&running, "a") + total(&running, "b") <= (2 << 20) + 100_000);
    let left = everything(&running, "a");
    assert!(
        left.len() < 28 && left.last() == Some(&27),
        "the oldest went: {left:?}"
    );
    assert_eq!(running.tokens("b").len(), 14);
    running.audit();
}

#[test]
fn on_a_full_disk_what_is_retained_goes_first() {
    let sim = Sim::default();
    let mut running = open(&sim, &retaining());
    fill(&mut running, "a", 0..20);
    acknowledge_all(&mut running, "a");
    let used = sim.bytes_used();
    sim.set_capacity(Some(used));
    for token in 100..115 {
        running.append("b", token, BYTES, now()).unwrap();
        running.round(false);
    }
    assert_eq!(
        running.tokens("b"),
        (100..115).collect::<Vec<_>>(),
        "nothing waited"
    );
    assert!(everything(&running, "a").len() < 20);
    running.audit();
}

#[test]
fn a_log_that_fits_into_one_segment_is_never_full_for_good() {
    let sim = Sim::default();
    let mut running = open(
        &sim,
        &LogSettings {
            max_bytes: 200_000,
            ..bounds()
        },
    );
    for round in 0..5 {
        while running.append("a", round, BYTES, now()).is_ok() {
            running.round(false);
        }
        let log = running.log("a");
        assert!(log.is_full() && log.holding().segments == 1);
        acknowledge_all(&mut running, "a");
        NOW.set(now() + 50);
        running.round(false);
        assert!(!log.is_full(), "{:?}", log.holding());
        running.audit();
    }
}

#[test]
fn a_segment_that_finds_no_room_for_its_seal_is_not_tried_again_at_once() {
    let sim = Sim::default();
    let mut running = open(&sim, &bounds());
    fill(&mut running, "a", 0..4);
    acknowledge_all(&mut running, "a");
    NOW.set(now() + 60_000);
    sim.set_capacity(Some(0));
    // The seal fits into the zeros ahead, unless there are none.
    let path = Path::new("/store/logs/a").join(crate::segment::Title::name(1));
    let end = running.log("a").lock().segments.back().unwrap().end;
    sim.cut(&path, usize::try_from(end).unwrap());
    running.round(false);
    assert_eq!((files(&sim, "a"), running.log("a").failure()), (1, None));
    assert!(running.committer.due().unwrap() > Instant::now());
    sim.set_capacity(None);
    NOW.set(now() + 50);
    running.round(false);
    assert_eq!(files(&sim, "a"), 0);
}

#[test]
fn who_reads_what_is_open_does_not_even_look_at_what_is_retained() {
    let sim = Sim::default();
    let mut running = open(&sim, &retaining());
    fill(&mut running, "a", 0..20);
    let last = running.log("a").lock().segments.back().unwrap().range();
    running.log("a").acknowledge(0..last.start);
    running.round(true);
    for held in running
        .log("a")
        .lock()
        .segments
        .iter()
        .filter(|held| held.retained)
    {
        sim.flip(&held.segment.path, 10_000, 0);
    }
    assert_eq!(running.tokens("a"), last.collect::<Vec<_>>());
    assert_eq!(sim.list(Path::new("/store/quarantine")).unwrap(), [""; 0]);
    let open_to_all = everything(&running, "a").len() as u64;
    assert!(open_to_all < 20, "and who reads all of it finds the damage");
    assert_eq!(running.log("a").open(), running.tokens("a").len() as u64);
}
