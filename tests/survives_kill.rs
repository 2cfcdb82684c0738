//! Nothing that Kafka gave is lost: not by a kill at any instant, not by an outage, not by a rebalance (C1, C4, C20).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::time::{Duration, Instant};

use support::sink::Sink;
use support::{record, weft};
use weft_rig::{Kafka, Weft, WeftBuilder, eventually};

const EVENTS: usize = 100_000;
const KEYS: usize = 1_000;
const PARTITIONS: i32 = 8;
const OUTAGE: Duration = Duration::from_secs(60);
/// For all of it, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(400);

struct Flood {
    kafka: &'static Kafka,
    sink: Sink,
    topic: String,
    dead: String,
}

impl Flood {
    /// Puts all events into a topic: `k0/0 k1/0 ... k0/1 k1/1 ...`, the key before the slash.
    fn new(label: &str) -> Flood {
        let kafka = Kafka::shared();
        let topic = kafka.topic(label, PARTITIONS);
        let all: Vec<_> = (0..EVENTS)
            .map(|n| (format!("k{}", n % KEYS), n / KEYS))
            .map(|(key, sequence)| record(&topic, &format!("{key}/{sequence}")).key(key))
            .collect();
        kafka.produce(&all);
        let dead = kafka.topic(&format!("{label}-dead"), 1);
        Flood {
            kafka,
            sink: Sink::start(),
            topic,
            dead,
        }
    }

    fn router(&self) -> WeftBuilder {
        let (brokers, topic, dead, url) = (self.kafka.brokers(), &self.topic, &self.dead, self.sink.url());
        weft(&format!(
            r#"
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  in:
    kafka:
      connection: main
      topics: [{topic}]
      group: {topic}
      session_timeout: 2s
      librdkafka: {{ heartbeat.interval.ms: 400 }}
destinations:
  out:
    http: {{ url: "{url}" }}
    retry: {{ attempts: 2, initial: 50ms, max: 1s }}
    breaker: {{ initial: 100ms, max: 1s }}
  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
defaults:
  ingress: {{ dead_letter: dead }}
  route: {{ dead_letter: dead }}
routes:
  all: {{ to: out }}
"#
        ))
    }

    fn first(&self) -> usize {
        self.sink.tally().first
    }

    /// Waits for `count` first deliveries.
    #[track_caller]
    fn wait_first(&self, count: usize, routers: &[&Weft]) {
        let end = Instant::now() + LIMIT;
        eventually(&format!("{count} events"), LIMIT * 2, || {
            let logs = || {
                routers
                    .iter()
                    .map(|weft| weft.log().tail())
                    .collect::<Vec<_>>()
                    .join("\n---\n")
            };
            assert!(
                Instant::now() < end,
                "{} of {count} events; logs:\n{}",
                self.first(),
                logs()
            );
            (self.first() >= count).then_some(())
        });
    }

    /// Waits until so many more requests were refused, or the outage is over.
    fn wait_refused(&self, more: usize) {
        let wanted = self.sink.tally().refused + more;
        eventually("refusals", LIMIT, || {
            let tally = self.sink.tally();
            (tally.refused >= wanted || !tally.is_down()).then_some(())
        });
    }

    /// None lost, none in the dead letter, order kept.
    fn judge(&self, what: &str) {
        let tally = self.sink.tally();
        eprintln!(
            "{what}: {EVENTS} events, {} came again, {} requests were refused",
            tally.again, tally.refused
        );
        assert_eq!(tally.first, EVENTS);
        assert_eq!(
            tally.disorder, [""; 0],
            "first deliveries of a key came out of order"
        );
        assert!(tally.refused > 0, "the outage was not felt");
        assert_eq!(
            self.kafka.offsets(&self.dead),
            [(0, 0)],
            "an outage is no reason for a dead letter"
        );
    }

    /// Everything is committed in the end.
    fn judge_committed(&self) {
        let ends: Vec<i64> = self
            .kafka
            .offsets(&self.topic)
            .iter()
            .map(|(_, high)| *high)
            .collect();
        eventually("all offsets committed", LIMIT, || {
            let committed = self.kafka.committed(&self.topic, &self.topic);
            (committed.values().copied().collect::<Vec<_>>() == ends).then_some(())
        });
    }
}

#[test]
fn nothing_is_lost_when_it_is_killed_ten_times_and_the_receiver_is_down_for_a_minute() {
    let flood = Flood::new("killed");
    let mut weft = flood.router().start();
    let mut kills = 0;
    let mut kill = |weft: &mut Weft| {
        weft.kill9();
        weft.restart();
        kills += 1;
    };
    for step in 1..=3 {
        flood.wait_first(step * EVENTS / 10, &[&weft]);
        kill(&mut weft);
    }
    flood.sink.fail_for(OUTAGE);
    for _ in 0..4 {
        flood.wait_refused(3);
        kill(&mut weft);
    }
    for step in 6..=8 {
        flood.wait_first(step * EVENTS / 10, &[&weft]);
        kill(&mut weft);
    }
    flood.wait_first(EVENTS, &[&weft]);
    assert_eq!(kills, 10);
    flood.judge_committed();
    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0));
    flood.judge("killed ten times");
}

#[test]
fn nothing_is_lost_when_the_group_rebalances_all_the_time() {
    let flood = Flood::new("rebalanced");
    let steady = flood.router().start();
    let mut restless = flood.router().start();
    let mut rebalances = 0;
    let mut began = None;
    while flood.first() < EVENTS {
        // Each life lasts until this member has partitions and, while the receiver takes anything, has moved things on.
        restless.log().wait_for("an assignment", LIMIT, |line| {
            line.contains("partitions assigned")
        });
        let before = flood.first();
        flood.wait_refused(2);
        let down = flood.sink.tally().is_down();
        if !down {
            flood.wait_first((before + EVENTS / 40).min(EVENTS), &[&steady, &restless]);
        }
        if flood.first() > EVENTS / 4 && began.is_none() {
            flood.sink.fail_for(OUTAGE);
            began = Some(Instant::now());
        }
        if rebalances % 2 == 0 {
            restless.sigterm();
            assert_eq!(restless.wait().code(), Some(0), "{}", restless.log().tail());
        } else {
            restless.kill9();
        }
        rebalances += 1;
        restless.restart();
    }
    flood.wait_first(EVENTS, &[&steady, &restless]);
    assert!(rebalances >= 10, "{rebalances} rebalances are few");
    flood.judge_committed();
    flood.judge(&format!("{rebalances} rebalances"));
}
