//! Nothing that Kafka gave is lost: not by a kill at any instant, not by an outage, not by a rebalance (C1, C4, C20).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::sink::Sink;
use support::{event, record, weft};
use weft_rig::{Kafka, Weft, WeftBuilder, eventually, free_port, http};

const EVENTS: usize = 100_000;
const KEYS: usize = 1_000;
const PARTITIONS: usize = 8;
/// What one partition may have unsettled.
const WINDOW: usize = 500;
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
        let topic = kafka.topic(label, i32::try_from(PARTITIONS).unwrap());
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
    window: {{ events: {WINDOW} }}
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

    /// None lost, none in the dead letter, order kept, and few came again: for each of `occasions` no more than what
    /// was unsettled, and what was settled since the last commit, which is no more than another window.
    fn judge(&self, what: &str, occasions: usize) {
        let tally = self.sink.tally();
        eprintln!(
            "{what}: {EVENTS} events, {} came again, {} requests were refused",
            tally.again, tally.refused
        );
        assert_eq!(tally.first, EVENTS);
        assert!(
            tally.again <= occasions * PARTITIONS * 2 * WINDOW,
            "{} came again",
            tally.again
        );
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
    flood.judge("killed ten times", kills);
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
    flood.judge(&format!("{rebalances} rebalances"), rebalances);
}

#[test]
fn what_http_answered_204_is_in_kafka_whenever_it_is_killed() {
    const KILLS: usize = 10;
    const CLIENTS: usize = 8;
    let kafka = Kafka::shared();
    let topic = kafka.topic("answered", 4);
    let (brokers, port) = (kafka.brokers(), free_port());
    let mut weft = weft(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}" }} }}
destinations:
  out: {{ kafka: {{ brokers: ["{brokers}"], topic: {topic} }} }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    let (answered, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (answered, done) = (&answered, &done);
            scope.spawn(move || {
                for n in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    let id = format!("{client}-{n}");
                    // Whoever is not answered, or with anything else, has been promised nothing.
                    let answer = http::post_event(port, "/", &event(&id));
                    if answer.is_ok_and(|answer| answer.status == 204) {
                        answered.lock().unwrap().push(id);
                    }
                }
            });
        }
        for _ in 0..KILLS {
            let before = answered.lock().unwrap().len();
            eventually("further answers", LIMIT, || {
                (answered.lock().unwrap().len() >= before + 100).then_some(())
            });
            weft.kill9();
            weft.restart();
        }
        done.store(true, Ordering::Relaxed);
    });
    let answered = answered.into_inner().unwrap();
    let written: HashSet<String> = kafka
        .drain(&topic)
        .iter()
        .map(|record| record.text_header("ce_id").unwrap().to_owned())
        .collect();
    let lost: Vec<_> = answered.iter().filter(|id| !written.contains(*id)).collect();
    assert_eq!(lost, [&""; 0], "{} were answered 204", answered.len());
    eprintln!(
        "{} answered 204 over {KILLS} kills, {} written",
        answered.len(),
        written.len()
    );
}
