//! The HTTP destination misbehaves: it is away, silent, slow, or answers all but 2xx (C9). What it did not answer with
//! 2xx has not arrived, and must come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_rig::{BlackHole, Mix, Receiver, Reply, eventually};

use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::LIMIT;

/// Answers of a fault in one strike, where each of them is a part of a mixture.
const FAULTS: usize = 150;
/// Attempts that fail in one strike, where everything fails: more than open the breaker, so that probes fail, too.
const FAILURES: usize = 8;
/// Between two looks at the metrics.
const PACE: Duration = Duration::from_millis(20);
/// Attempts that must be waited for in one strike, a second each.
const PATIENCE: usize = 3;
/// Events that arrive slowly in one strike.
const SLOW: usize = 400;
/// `limits.memory` of every run, what the process takes besides, and a tenth (MiB).
const MEMORY: u64 = 64 + 64 + 13;

type Fault = (&'static str, fn(&mut Run<'_>));

const FAULTS_OF_DESTINATIONS: [Fault; 9] = [
    ("destination down", down),
    ("destination silent", silent),
    ("destination deaf (SYN unanswered)", deaf),
    ("RST after the request", reset),
    ("half an answer", half),
    ("500, 503, 429, 401, 404, 302 mixed", mixed),
    ("401 to everything", unauthorised),
    ("429 with Retry-After", overloaded),
    ("slow receiver", slow),
];

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let every = [End::Http, End::Kafka, End::Amqp, End::Mqtt];
    let mut rows = Vec::new();
    for from in [End::Http, End::Kafka] {
        let count = FAULTS_OF_DESTINATIONS.len();
        let in_turn = Scenario::new("destination: each of these faults", Flow::new(from, &[End::Http]));
        rows.push(row(in_turn.strikes(count, |run| FAULTS_OF_DESTINATIONS[run.struck].1(run))).always());
    }
    for (name, fault) in FAULTS_OF_DESTINATIONS {
        rows.extend(
            every.map(|from| row(Scenario::new(name, Flow::new(from, &[End::Http])).strikes(2, fault))),
        );
    }
    rows
}

/// With short patience, and a bound on memory.
fn row(scenario: Scenario) -> Scenario {
    let patience = |run: &mut Run<'_>| {
        let file = &mut run.file.destinations[0];
        *file = file.replace(" }", ", timeout: 1s, connect_timeout: 500ms }");
    };
    scenario.prepare(patience).check(|run| {
        let peak = run.weft().peak_mib();
        eprintln!("  {peak} MiB at most");
        assert!(peak < MEMORY, "{peak} MiB held, {MEMORY} are the bound");
    })
}

/// How many attempts at the destination failed so far, for one reason or for any.
fn failed(run: &mut Run<'_>, reason: Option<&str>) -> usize {
    let mut labels = vec![("destination", "out-0")];
    labels.extend(reason.map(|reason| ("reason", reason)));
    run.weft().metrics().sum("weft_destination_failed_total", &labels) as usize
}

/// Waits until so many attempts more have failed: the mark of the fault, and of probes that go on.
#[track_caller]
fn wait_failed(run: &mut Run<'_>, more: usize, reason: Option<&str>) {
    let before = failed(run, reason);
    let began = Instant::now();
    while failed(run, reason) < before + more {
        let log = run.weft().log().tail();
        assert!(
            began.elapsed() < LIMIT,
            "fewer than {more} attempts fail ({reason:?}); the log:\n{log}"
        );
        std::thread::park_timeout(PACE);
    }
}

/// Whether the breaker lets nothing but probes pass.
fn wait_open(run: &mut Run<'_>) {
    eventually("an open breaker", LIMIT, || {
        let state = run
            .weft()
            .metrics()
            .sum("weft_breaker_state", &[("destination", "out-0")]);
        (state > 0.5).then_some(())
    });
}

fn down(run: &mut Run<'_>) {
    run.sink_mut(0).receiver.close();
    wait_open(run);
    wait_failed(run, 2, Some("unavailable"));
    run.sink_mut(0).receiver.open();
}

fn silent(run: &mut Run<'_>) {
    hole(run, BlackHole::silent, "timeout");
}

/// Without a connection nothing can have been delivered, which is why it is no time-out.
fn deaf(run: &mut Run<'_>) {
    hole(run, BlackHole::deaf, "unavailable");
}

fn hole(run: &mut Run<'_>, make: fn(u16) -> BlackHole, reason: &str) {
    let port = run.sink_mut(0).receiver.port();
    run.sink_mut(0).receiver.close();
    let hole = make(port);
    wait_failed(run, PATIENCE, Some(reason));
    drop(hole);
    run.sink_mut(0).receiver.open();
}

/// Answers everything by `reply` until it has said so often enough.
fn answered(run: &mut Run<'_>, often: usize, reply: impl Fn() -> Reply + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    run.sink(0).reply(move |_, _| {
        counting.fetch_add(1, Ordering::Relaxed);
        reply()
    });
    eventually("answers of the fault", LIMIT, || {
        (count.load(Ordering::Relaxed) >= often).then_some(())
    });
    run.sink(0).heal();
}

/// Answers by a mixture until enough of its answers were none.
fn answered_by(run: &mut Run<'_>, mix: impl FnOnce(Mix) -> Mix) {
    let script = mix(Mix::seeded(run.random.u64(..))).script();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    run.sink(0).reply(move |request, _| {
        let reply = script(request);
        counting.fetch_add(usize::from(!reply.accepts()), Ordering::Relaxed);
        reply
    });
    eventually("faults of a mixture", LIMIT, || {
        (count.load(Ordering::Relaxed) >= FAULTS).then_some(())
    });
    run.sink(0).heal();
}

fn reset(run: &mut Run<'_>) {
    answered(run, FAILURES, Reply::reset);
    answered_by(run, |mix| mix.of(7, Reply::status(204)).of(3, Reply::reset()));
}

fn half(run: &mut Run<'_>) {
    answered(run, FAILURES, Reply::half);
    answered_by(run, |mix| mix.of(7, Reply::status(204)).of(3, Reply::half()));
}

/// Of each fault a part, and redirects to a place that must not be visited.
fn mixed(run: &mut Run<'_>) {
    let trap = Receiver::start();
    let away = |status| Reply::status(status).header("location", &trap.url("/"));
    let soon = |status| Reply::status(status).header("retry-after", "0");
    let parts = [
        (60, Reply::status(204)),
        (8, Reply::status(500)),
        (5, Reply::status(503)),
        (5, soon(429)),
        (5, Reply::status(401)),
        (5, Reply::status(404)),
        (4, away(302)),
        (4, away(307)),
        (4, away(308)),
    ];
    answered_by(run, |mix| {
        parts
            .into_iter()
            .fold(mix, |mix, (weight, reply)| mix.of(weight, reply))
    });
    assert_eq!(trap.count(), 0, "a redirect was followed");
    let misconfigured = failed(run, Some("misconfigured"));
    assert!(misconfigured > 0, "no redirect was seen");
}

fn unauthorised(run: &mut Run<'_>) {
    run.sink(0).respond(|_| 401);
    wait_open(run);
    wait_failed(run, 2, Some("unauthorised"));
    run.sink(0).heal();
}

/// Nobody comes before the time that was asked for. What was under way already may still arrive, so the longest pause
/// among the refused is looked at, not the first.
fn overloaded(run: &mut Run<'_>) {
    const ASKED: u64 = 2;
    run.sink(0).receiver.forget();
    let refuse = || Reply::status(429).header("retry-after", &ASKED.to_string());
    run.sink(0).reply(move |_, _| refuse());
    let refused = |run: &mut Run<'_>| {
        let requests = run.sink(0).receiver.requests();
        requests
            .into_iter()
            .filter(|request| !request.accepted)
            .map(|request| request.at)
            .collect::<Vec<_>>()
    };
    let pause = |times: &[std::time::Instant]| times.windows(2).map(|two| two[1] - two[0]).max();
    eventually("a pause between refused requests", LIMIT, || {
        let longest = pause(&refused(run)).unwrap_or_default();
        (longest.as_secs_f64() > 0.95 * ASKED as f64).then_some(())
    });
    run.sink(0).heal();
}

/// As slow as its time-out allows it to be.
fn slow(run: &mut Run<'_>) {
    run.sink(0).reply(|_, number| {
        Reply::status(204).after(std::time::Duration::from_millis(100 + (number % 8) as u64 * 50))
    });
    assert!(run.wait_arrivals(SLOW), "nothing arrives at a slow receiver");
    run.sink(0).heal();
}
