//! Destinations with a store: the router's process is hurt while they are up, down and flapping, and at each step of the
//! store itself. What was acknowledged is on the disk, and comes out of it once the destination takes it (C24, C28); a
//! crash repeats at most a window of each log (C4), and the keys keep their order (C20).

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::crash::{Point, crash_under_load, point};
use crate::flow::{End, Flow, STORE_WINDOW, WINDOW};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::Books;

/// Kills in one run.
const KILLS: usize = 3;
/// What piles up behind a destination that is away, before something happens.
const BACKLOG: f64 = 800.0;
/// The same where the backlog itself is the fault.
const LONG: f64 = 8_000.0;
/// Longer than the sessions of its clients, and than a round of the store may take.
const FREEZE: Duration = Duration::from_secs(4);
/// A destination that flaps refuses the last of so many requests: more than open the breaker, so that probes fail, too.
const FLAP: usize = 60;
const REFUSED: usize = 8;

type Fault = (&'static str, fn(&mut Run<'_>));

/// What needs a receiver that can be sent away.
const AWAY: [Fault; 6] = [
    ("kill -9, destination down", killed_in_a_backlog),
    ("kill -9, destination flapping", killed_in_a_flap),
    ("SIGTERM in a backlog", stopped_in_a_backlog),
    ("SIGSTOP in a backlog", frozen_in_a_backlog),
    ("kill -9 while a backlog is delivered", killed_in_the_drain),
    ("store taken away in a backlog", store_taken_away),
];

/// Passed once for each batch, or with each record.
const OFTEN: (u64, u64) = (1, 12);
/// Passed at the start, and with each segment.
const SELDOM: (u64, u64) = (1, 3);
const ONCE: (u64, u64) = (1, 1);

/// The points of the store that a load passes, in the order of a record's life.
pub(crate) const LIFE: &[Point] = &[
    point("store.appending", OFTEN, FLOWS),
    point("store.segment.made", ONCE, FLOWS),
    point("store.directory.synced", SELDOM, FLOWS),
    point("store.segment.written", OFTEN, FLOWS),
    point("store.segment.torn", OFTEN, FLOWS),
    point("store.segment.synced", OFTEN, FLOWS),
    point("store.synced", OFTEN, FLOWS),
    point("store.told", OFTEN, FLOWS),
    point("store.read", OFTEN, FLOWS),
    point("store.acks.written", OFTEN, FLOWS),
    point("store.acks.torn", OFTEN, FLOWS),
    point("store.acks.synced", OFTEN, FLOWS),
    point("store.spare.written", ONCE, FLOWS),
    point("store.spare.synced", ONCE, FLOWS),
    point("store.segment.named", ONCE, FLOWS),
    point("store.segment.cut", SELDOM, FLOWS),
    point("store.segment.removed", ONCE, FLOWS),
    point("store.acks.made", ONCE, FLOWS),
    point("store.acks.removed", ONCE, FLOWS),
];
/// What a start passes that finds a log which nobody has closed, while it mends that.
const MENDING: &[&str] = &[
    "store.segment.made",
    "store.segment.written",
    "store.segment.torn",
    "store.segment.synced",
    "store.segment.cut",
    "store.directory.synced",
];
/// Such a start passes each of them so often.
const MENDED: u64 = 2;
/// Passed where a store is made, and where damage is found: `tests/disk.rs` has those; and in a replay:
/// `tests/dead_letters.rs`.
pub(crate) const ELSEWHERE: &[&str] = &[
    "store.format.written",
    "store.format.synced",
    "store.quarantine.made",
    "store.quarantine.written",
    "store.quarantine.synced",
    "replay.sent",
    "replay.ended",
];

const FLOWS: &[(End, &[End])] = &[(End::Http, &[End::Http]), (End::Kafka, &[End::Kafka])];

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for (from, to, always) in [
        (End::Http, &[End::Kafka, End::Http][..], true),
        (End::Kafka, &[End::Http], true),
        (End::Mqtt, &[End::Kafka], true),
        (End::Http, &[End::Http], false),
        (End::Http, &[End::Kafka], false),
        (End::Kafka, &[End::Kafka], false),
        (End::Amqp, &[End::Http], false),
        (End::Http, &[End::Amqp], false),
        (End::Kafka, &[End::Mqtt, End::Http], false),
    ] {
        let kill = row("kill -9 of Weft", from, to).strikes(KILLS, |run| run.kill_weft());
        rows.push(if always { kill.always() } else { kill });
    }
    for from in [End::Http, End::Kafka] {
        // Told once it is written: the end of the process alone loses nothing.
        let kill = row("kill -9 of Weft, synced at intervals", from, &[End::Http]);
        let at_intervals = |run: &mut Run<'_>| {
            let sections = &mut run.file.sections;
            *sections = sections.replace("keep_free", "sync: { interval: 500ms }, keep_free");
        };
        rows.push(kill.prepare(at_intervals).strikes(KILLS, |run| run.kill_weft()));
    }
    let in_turn = row("store: each of these faults", End::Http, &[End::Http]);
    rows.push(
        in_turn
            .events(30_000)
            .strikes(AWAY.len(), |run| AWAY[run.struck].1(run))
            .always(),
    );
    for from in [End::Http, End::Kafka, End::Mqtt] {
        for (name, fault) in AWAY {
            // A flap has two kills.
            rows.push(
                row(name, from, &[End::Http])
                    .strikes(2, fault)
                    .excuses(STORE_WINDOW),
            );
        }
    }
    for from in [End::Http, End::Kafka] {
        let long = row("long backlog", from, &[End::Http]).events(60_000);
        rows.push(long.strikes(1, long_backlog));
    }
    let points = row(
        "crash at each point of the store in turn",
        End::Http,
        &[End::Http],
    );
    rows.push(
        points
            .events(40_000)
            .strikes(LIFE.len(), |run| {
                let point = &LIFE[run.struck];
                crash_under_load(run, point.name, point.passing);
            })
            .always(),
    );
    for (from, always) in [(End::Http, true), (End::Mqtt, false)] {
        let mending = row("crash while a start mends a log", from, &[End::Http]);
        let mending = mending
            .events(30_000)
            .strikes(MENDING.len() * MENDED as usize, killed_in_a_start);
        rows.push(if always { mending.always() } else { mending });
    }
    for point in LIFE {
        for (from, to) in FLOWS {
            let row = row(&format!("crash at {}", point.name), *from, to);
            rows.push(row.strikes(2, |run| {
                // A journal of acknowledgements goes with the second start after it.
                run.kill_weft();
                crash_under_load(run, point.name, point.passing);
            }));
        }
    }
    rows
}

/// With the books of every log looked at in the end.
fn row(name: &str, from: End, to: &[End]) -> Scenario {
    // A crash in the middle of a start is a crash more.
    let row = Scenario::new(name, Flow::stored(from, to)).excuses(WINDOW);
    row.check(at_rest)
}

/// Nothing is left in any log, nothing was damaged, and all books balance (C32).
fn at_rest(run: &mut Run<'_>) {
    run.wait_for("logs that are empty", |run| {
        let metrics = run.weft().metrics();
        let empty = metrics.sum("weft_store_pending_events", &[]) < 0.5;
        empty && metrics.sum("weft_store_waiting_events", &[]) < 0.5
    });
    let metrics = run.weft().metrics();
    Books::of(&metrics).assert_balanced();
    for log in metrics.label_values("weft_store_found_total", "log") {
        let of = |name: &str| metrics.sum(name, &[("log", log)]);
        let came = of("weft_store_found_total") + of("weft_store_appended_total");
        let settled = |result| metrics.sum("weft_store_settled_total", &[("log", log), ("result", result)]);
        let left: f64 = [
            "delivered",
            "dead_lettered",
            "stored",
            "dropped",
            "expired",
            "purged",
        ]
        .into_iter()
        .map(settled)
        .sum();
        assert!(
            (came - left).abs() < 0.5,
            "the books of the log {log} do not balance: {came} came, {left} left it"
        );
        assert_eq!(settled("damaged").round(), 0.0, "damaged records in {log}");
        assert_eq!(of("weft_store_failed").round(), 0.0, "{log} has failed");
    }
    let store = run.weft().dir().join("store");
    let mut set_aside = files_in(&store.join("quarantine"));
    // What was torn off the end of a file has a copy, too, and is no damage.
    set_aside.retain(|name| !name.ends_with(".torn"));
    assert_eq!(set_aside, [""; 0], "set aside");
}

fn files_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the store is there");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

/// Waits until so many events are in the log.
fn wait_backlog(run: &mut Run<'_>, events: f64) {
    run.wait_for("a backlog", |run| {
        run.weft().metrics().sum("weft_store_pending_events", &[]) >= events
    });
}

/// The receiver goes, and events pile up.
fn pile_up(run: &mut Run<'_>, events: f64) {
    run.sink_mut(0).receiver.close();
    wait_backlog(run, events);
}

/// The receiver is back, and takes what it is owed.
fn come_back(run: &mut Run<'_>) {
    run.sink_mut(0).receiver.open();
    assert!(
        run.wait_arrivals(BACKLOG as usize),
        "nothing comes out of the log"
    );
}

fn killed_in_a_backlog(run: &mut Run<'_>) {
    pile_up(run, BACKLOG);
    run.kill_weft();
    come_back(run);
}

fn killed_in_the_drain(run: &mut Run<'_>) {
    pile_up(run, 3.0 * BACKLOG);
    run.sink_mut(0).receiver.open();
    assert!(run.wait_arrivals(100), "nothing comes out of the log");
    run.kill_weft();
    assert!(run.wait_arrivals(100), "nothing comes out of the log");
}

fn killed_in_a_flap(run: &mut Run<'_>) {
    let count = AtomicUsize::new(0);
    run.sink(0).respond(move |_| {
        let up = count.fetch_add(1, Ordering::Relaxed) % FLAP < FLAP - REFUSED;
        if up { 204 } else { 503 }
    });
    for _ in 0..2 {
        assert!(
            run.wait_arrivals(3 * FLAP),
            "nothing arrives between the refusals"
        );
        run.kill_weft();
    }
    run.sink(0).heal();
}

/// What is in the log stays there: a stop does not wait for it (C29).
fn stopped_in_a_backlog(run: &mut Run<'_>) {
    pile_up(run, BACKLOG);
    run.weft().sigterm();
    let status = run.weft().wait();
    assert_eq!(status.code(), Some(0), "{}", run.weft().log().tail());
    run.weft().restart();
    let found = run.weft().metrics().sum("weft_store_found_total", &[]);
    assert!(found >= BACKLOG, "{found} events were found at the start");
    come_back(run);
}

fn frozen_in_a_backlog(run: &mut Run<'_>) {
    pile_up(run, BACKLOG);
    run.weft().freeze();
    run.nothing_moves_for(FREEZE);
    run.weft().thaw();
    come_back(run);
}

/// The file does not ask for the log any more: what it holds is delivered all the same, and what comes behind it keeps its
/// order. The next reload asks for it again.
fn store_taken_away(run: &mut Run<'_>) {
    pile_up(run, BACKLOG);
    let keys = run.file.destination_keys.clone();
    run.file.destination_keys.retain(|key| key != "store: true");
    reload(run);
    run.sink_mut(0).receiver.open();
    run.wait_for("a log that is empty", |run| {
        run.weft().metrics().sum("weft_store_pending_events", &[]) < 0.5
    });
    run.file.destination_keys = keys;
    reload(run);
    wait_for_use(run);
}

/// Writes the file, and waits until it is in effect.
fn reload(run: &mut Run<'_>) {
    let mark = run.weft().log().mark();
    run.reload();
    run.weft()
        .log()
        .wait_from(mark, "a reload", crate::support::LIMIT, |line| {
            line.contains("reloaded")
        });
}

/// Waits until events come into the log again, or there are none any more.
fn wait_for_use(run: &mut Run<'_>) {
    let appended = |run: &mut Run<'_>| run.weft().metrics().sum("weft_store_appended_total", &[]);
    let before = appended(run);
    run.wait_for("events in the log", |run| {
        appended(run) > before || run.ledger.read(crate::ledger::Account::is_complete)
    });
}

/// A log that was not closed is mended by the start, which is ended in the middle of it; and the next one mends that.
fn killed_in_a_start(run: &mut Run<'_>) {
    let name = MENDING[run.struck % MENDING.len()];
    // Where a segment made ahead is named, no other one is made.
    let passings = if name == "store.segment.made" { 1 } else { MENDED };
    let count = 1 + run.struck as u64 / MENDING.len() as u64 % passings;
    crash_under_load(run, name, (count, count));
}

/// Until a good part of the load is in the log.
fn long_backlog(run: &mut Run<'_>) {
    pile_up(run, LONG);
    run.sink_mut(0).receiver.open();
    assert!(run.wait_arrivals(LONG as usize), "nothing comes out of the log");
}
