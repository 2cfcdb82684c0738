//! The wall clock jumps while events are under way. Only the age of an event may depend on it (C31): nothing without one
//! expires, and retries, breakers, sessions and time-outs go on as if nothing had happened.

use std::time::Duration;

use weft_rig::{Clock, Reply, eventually};

use crate::ballast::{Ballast, Weight};
use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::LIMIT;

/// Two hours, as seconds.
const HOURS: i64 = 7_200;
/// What the clock shows more than the machine's, in turn: each is a jump from the one before.
const JUMPS: [i64; 3] = [-HOURS, HOURS, 0];
/// The same where records go to Kafka, which refuses those that are more than an hour before its own clock.
const JUMPS_BEHIND: [i64; 3] = [-HOURS, 0, -HOURS];
/// Longer than a breaker waits, a session lasts, and a client goes without a commit.
const AFTERWARDS: Duration = Duration::from_millis(2500);
/// What an HTTP destination takes for an event, of which 64 are on their way.
const PACE: Duration = Duration::from_millis(40);
/// Events with an age, on so many connections.
const AGED: usize = 4;

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let flows = [
        (Flow::new(End::Kafka, &[End::Http]), true),
        (Flow::new(End::Http, &[End::Http]), false),
        (Flow::new(End::Http, &[End::Kafka]), false),
        (Flow::new(End::Mqtt, &[End::Amqp]), false),
        (Flow::new(End::Amqp, &[End::Mqtt]), false),
        (Flow::new(End::Kafka, &[End::Kafka]), false),
    ];
    let row = |(flow, always): (Flow, bool)| {
        // As many as outlast the jumps.
        let events = match (flow.from, flow.to[0]) {
            (_, End::Http) => 20_000,
            (End::Kafka, _) => 40_000,
            _ => 200_000,
        };
        let row = Scenario::new("wall clock jumps by 2 h", flow)
            .events(events)
            .prepare(|run| {
                let clock = Clock::new();
                run.builder = run.builder.take().map(|builder| builder.clock(&clock));
                run.kept.push(Box::new(clock));
                if run.to[0].end == End::Http {
                    // Some 1,600 events a second, so that the load is not over before the clock has jumped.
                    run.sink(0).reply(|_, _| Reply::status(204).after(PACE));
                }
                // By the time that an event is really old: none is.
                run.file.route_keys.push("max_age: 1h".to_owned());
            })
            .strikes(JUMPS.len(), jump)
            .check(nothing_expired);
        if always { row.always() } else { row }
    };
    let mut rows: Vec<Scenario> = flows.into_iter().map(row).collect();
    rows.push(aged());
    rows
}

fn set(run: &mut Run<'_>, seconds: i64) {
    let clock = run.kept[0]
        .downcast_ref::<Clock>()
        .expect("it was put there first");
    clock.set(seconds);
}

/// While a breaker is open and retries are due, where the destination lets us do that.
fn jump(run: &mut Run<'_>) {
    let behind = run.to[0].end == End::Kafka;
    let offset = if behind { JUMPS_BEHIND } else { JUMPS }[run.struck];
    let is_http = run.to[0].end == End::Http;
    if is_http {
        run.sink_mut(0).receiver.close();
        eventually("an open breaker", LIMIT, || {
            let state = run.weft().metrics().sum("weft_breaker_state", &[]);
            (state > 0.5).then_some(())
        });
    }
    set(run, offset);
    if is_http {
        let failed = |run: &mut Run<'_>| run.weft().metrics().sum("weft_destination_failed_total", &[]);
        let before = failed(run);
        eventually("probes after the jump", LIMIT, || {
            (failed(run) > before + 1.5).then_some(())
        });
        run.sink_mut(0).receiver.open();
    }
    goes_on(run, 500, offset);
    if !is_http || run.from.end != End::Http {
        std::thread::sleep(AFTERWARDS);
    }
    goes_on(run, 100, offset);
}

fn goes_on(run: &mut Run<'_>, more: usize, offset: i64) {
    if !run.wait_arrivals(more) {
        run.tell("the flow has stopped");
        let log = run.weft().log().tail();
        panic!("the flow has stopped after a jump to {offset} s; the log:\n{log}");
    }
}

fn nothing_expired(run: &mut Run<'_>) {
    let metrics = run.weft().metrics();
    let expired = metrics.sum("weft_obligations_settled_total", &[("result", "expired")]);
    assert_eq!(expired.round(), 0.0, "events expired that are not an hour old");
}

/// Events with an `expirytime` beside those without: they expire by the wall clock, are counted, and the books balance.
fn aged() -> Scenario {
    Scenario::new(
        "wall clock jumps over expirytime",
        Flow::new(End::Http, &[End::Http]),
    )
    .always()
    .prepare(|run| {
        let clock = Clock::new();
        run.builder = run.builder.take().map(|builder| builder.clock(&clock));
        run.kept.push(Box::new(clock));
    })
    .strikes(1, |run| {
        let expired = |run: &mut Run<'_>| {
            let metrics = run.weft().metrics();
            metrics.sum("weft_obligations_settled_total", &[("result", "expired")]) as usize
        };
        let in_an_hour = std::time::SystemTime::now() + Duration::from_secs(3_600);
        let weight = Weight {
            bytes: 10,
            attributes: vec![("expirytime", rfc3339(in_an_hour))],
        };
        let ballast = Ballast::start(run.from.port, AGED, &weight);
        eventually("events that are not old", LIMIT, || {
            (ballast.taken() > 100).then_some(())
        });
        assert_eq!(expired(run), 0, "before the jump");
        set(run, HOURS);
        eventually("events that are too old", LIMIT, || {
            (expired(run) > 100).then_some(())
        });
        set(run, 0);
        let before = run.weft().metrics().sum("weft_destination_delivered_total", &[]);
        eventually("events that are not old again", LIMIT, || {
            let now = run.weft().metrics().sum("weft_destination_delivered_total", &[]);
            (now > before + 100.0).then_some(())
        });
    })
    .check(|run| crate::support::Books::of(&run.weft().metrics()).assert_balanced())
}

/// As `expirytime` has it, to the second.
fn rfc3339(at: std::time::SystemTime) -> String {
    let seconds = at
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{:02}-{:02}T{hour:02}:{minute:02}:{:02}Z",
        month + 1,
        left + 1,
        second % 60
    )
}
