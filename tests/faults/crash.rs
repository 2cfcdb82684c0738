//! The router ends between any two steps in the life of an event, and of its own: at the points of `weft_api::crash`.
//! The table of the points stands in `docs/faults.md`; a test here holds it against the code.

use std::fs;
use std::path::{Path, PathBuf};

use crate::flow::{End, Flow, WINDOW};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::stored;

const VARIABLE: &str = "WEFT_CRASH_AT";
/// Crashes in one run of one point.
const CRASHES: usize = 2;

const DIRECT: (End, &[End]) = (End::Http, &[End::Http]);
const IN_ORDER: (End, &[End]) = (End::Kafka, &[End::Kafka]);
const QUEUED: (End, &[End]) = (End::Http, &[End::Kafka]);
const ONE_BY_ONE: (End, &[End]) = (End::Amqp, &[End::Kafka]);

/// What a point needs, and through which flows it is met.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// At which passing it kills, between these two. What is passed while a connection is made does not count.
    pub(crate) passing: (u64, u64),
    pub(crate) flows: &'static [(End, &'static [End])],
}

/// Passed for each event, or for each batch.
const OFTEN: (u64, u64) = (1, 12);
/// Passed once a second, with each full window, and when the load is over.
const SELDOM: (u64, u64) = (1, 1);
/// Passed for each write, from the first one of a connection on.
const WRITES: (u64, u64) = (8, 12);

/// The points in the life of an event, in its order. What AMQP and MQTT write is, on the way in, the acknowledgement,
/// and on the way out what waits for its confirmation.
const LIFE: &[Point] = &[
    point("ingress.received", OFTEN, &[DIRECT, IN_ORDER, ONE_BY_ONE]),
    point("ingress.queued", OFTEN, &[QUEUED, IN_ORDER, ONE_BY_ONE]),
    point("egress.taken", OFTEN, &[DIRECT, IN_ORDER, QUEUED]),
    point("kafka.sent", OFTEN, &[QUEUED, ONE_BY_ONE]),
    point("egress.confirmed", OFTEN, &[DIRECT, IN_ORDER, QUEUED]),
    point("ingress.settled", OFTEN, &[DIRECT, IN_ORDER, ONE_BY_ONE]),
    point("kafka.stored", SELDOM, &[IN_ORDER, (End::Kafka, &[End::Http])]),
    point("kafka.committed", SELDOM, &[IN_ORDER, (End::Kafka, &[End::Http])]),
    point(
        "amqp.written",
        WRITES,
        &[ONE_BY_ONE, (End::Kafka, &[End::Amqp]), (End::Http, &[End::Amqp])],
    ),
    point(
        "mqtt.written",
        WRITES,
        &[(End::Mqtt, &[End::Kafka]), (End::Kafka, &[End::Mqtt])],
    ),
];

const DEAD_LETTER: &[&str] = &["dead_letter.made", "dead_letter.confirmed", "dead_letter.settled"];
const RELOAD: &[&str] = &[
    "reload.read",
    "reload.built",
    "reload.destinations",
    "reload.done",
];
const STOP: &[&str] = &["stop.begun", "stop.drained", "stop.closed"];

pub(crate) const fn point(
    name: &'static str,
    passing: (u64, u64),
    flows: &'static [(End, &'static [End])],
) -> Point {
    Point { name, passing, flows }
}

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for point in LIFE {
        for (from, to) in point.flows {
            let row = Scenario::new(format!("crash at {}", point.name), Flow::new(*from, to))
                .strikes(CRASHES, |run| crash_under_load(run, point.name, point.passing))
                .excuses(WINDOW);
            rows.push(row);
        }
    }
    // Each of them in turn, in two flows that pass most. A group takes seconds to let a killed member in again, so the one
    // from Kafka keeps to the points behind the confirmation.
    for (from, to) in [(End::Http, End::Kafka), (End::Kafka, End::Http)] {
        let is_passed = |point: &&Point| is_passed(point.name, from, to);
        let points: Vec<&'static Point> = LIFE.iter().filter(is_passed).collect();
        let row = Scenario::new("crash at each point in turn", Flow::new(from, &[to]))
            .strikes(points.len(), move |run| {
                let point = points[run.struck];
                crash_under_load(run, point.name, point.passing);
            })
            .excuses(WINDOW)
            .always();
        rows.push(row);
    }
    for flow in [
        Flow::new(End::Http, &[End::Http]),
        Flow::new(End::Kafka, &[End::Http]),
    ] {
        rows.push(
            Scenario::new("crash before the receiver's answer", flow).strikes(CRASHES, kill_unanswered),
        );
    }
    for name in DEAD_LETTER {
        for from in [End::Kafka, End::Http] {
            let row = Scenario::new(format!("crash at {name}"), Flow::new(from, &[End::Http]))
                .prepare(|run| {
                    run.add_dead_letter();
                    run.refuse_some();
                })
                .strikes(CRASHES, |run| crash_under_load(run, name, OFTEN))
                .excuses(WINDOW)
                .unordered();
            rows.push(row);
        }
    }
    for flow in [
        Flow::new(End::Kafka, &[End::Http]),
        Flow::new(End::Http, &[End::Http]),
        Flow::stored(End::Kafka, &[End::Http]),
        Flow::stored(End::Http, &[End::Http]),
    ] {
        for name in RELOAD {
            let row = Scenario::new(format!("crash at {name}"), flow.clone())
                .strikes(CRASHES, |run| crash_by(run, name, change_and_reload))
                .excuses(WINDOW);
            rows.push(row);
        }
        for name in STOP {
            let row = Scenario::new(format!("crash at {name}"), flow.clone())
                .strikes(CRASHES, |run| crash_by(run, name, |run| run.weft().sigterm()))
                .excuses(WINDOW);
            rows.push(row);
        }
    }
    rows
}

/// Whether a point is one of a flow's turn.
fn is_passed(name: &str, from: End, to: End) -> bool {
    match name {
        "kafka.sent" => to == End::Kafka,
        "kafka.stored" | "kafka.committed" => from == End::Kafka,
        "egress.confirmed" | "ingress.settled" => true,
        "ingress.received" | "ingress.queued" | "egress.taken" => from != End::Kafka,
        _ => false,
    }
}

/// Arms a point, and waits until the load has passed it.
pub(crate) fn crash_under_load(run: &mut Run<'_>, name: &str, (low, high): (u64, u64)) {
    let count = run.random.u64(low..=high);
    arm(run, name, count);
    bury(run, name);
}

/// Arms a point, and does what passes it.
fn crash_by(run: &mut Run<'_>, name: &str, pass: fn(&mut Run<'_>)) {
    arm(run, name, 1);
    run.wait_arrivals(200);
    pass(run);
    bury(run, name);
}

/// The router is killed and started again with a point that kills it.
fn arm(run: &mut Run<'_>, name: &str, count: u64) {
    let weft = run.weft();
    weft.kill9();
    weft.set_env(VARIABLE, Some(&format!("{name}:{count}")));
    // It may end before anybody has asked it whether it is ready.
    weft.launch_again();
}

/// Waits for its end, which must be the point's, and starts it without one.
fn bury(run: &mut Run<'_>, name: &str) {
    run.weft().set_env(VARIABLE, None);
    run.wait_for(name, |run| run.weft().ended().is_some());
    let weft = run.weft();
    let status = weft.wait();
    let aborted = std::os::unix::process::ExitStatusExt::signal(&status) == Some(6);
    assert!(
        aborted,
        "void: {name} did not end it, but {status}:\n{}",
        weft.log().tail()
    );
    weft.restart();
}

/// The receiver has an event and has not answered yet.
fn kill_unanswered(run: &mut Run<'_>) {
    run.sink(0).hold(true);
    assert!(run.wait_arrivals(20), "void: nothing arrives");
    run.weft().kill9();
    run.sink(0).hold(false);
    run.weft().restart();
}

fn change_and_reload(run: &mut Run<'_>) {
    let attempts = run.random.u32(3..1000);
    run.file.destination_keys.retain(|key| !key.starts_with("retry:"));
    run.file
        .destination_keys
        .push(format!("retry: {{ attempts: {attempts} }}"));
    run.reload();
}

/// Every point in the code has a row here and a line in the documentation, and the other way round.
#[test]
fn every_crash_point_of_the_code_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = Vec::new();
    let mut open: Vec<PathBuf> = ["src", "connectors", "store/src"]
        .map(|dir| root.join(dir))
        .to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for call in ["crash::point(\"", "keeper.point(\""] {
                let names = text.split(call).skip(1);
                code.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    code.sort();
    code.dedup();
    let mut rows: Vec<&str> = LIFE.iter().map(|point| point.name).collect();
    rows.extend(stored::LIFE.iter().map(|point| point.name));
    rows.extend(
        DEAD_LETTER
            .iter()
            .chain(RELOAD)
            .chain(STOP)
            .chain(stored::ELSEWHERE),
    );
    rows.sort_unstable();
    assert_eq!(code, rows);
    let page = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    for name in rows {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/faults.md does not have {name}"
        );
    }
}
