//! What changes around the router while it works: members of its consumer group come and go, its file changes.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weft_rig::{Weft, eventually};

use crate::flow::{End, Flow, WINDOW};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::{self, LIMIT};

/// Comings and goings in one run.
const STORM: usize = 6;
/// Reloads in one strike, and the time between them.
const RELOADS: usize = 15;
const RELOAD_EVERY: Duration = Duration::from_millis(200);

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for to in [End::Http, End::Kafka] {
        // Each is two rebalances: one when it comes, one when it goes.
        let strangers = Scenario::new("rebalance storm: strangers", Flow::new(End::Kafka, &[to]))
            .events(40_000)
            .strikes(STORM, stranger)
            .excuses(WINDOW);
        rows.push(strangers);
        let second = Scenario::new("rebalance storm: a second Weft", Flow::new(End::Kafka, &[to]))
            .events(40_000)
            .strikes(STORM / 2, second_weft)
            .excuses(WINDOW);
        rows.push(if to == End::Http { second.always() } else { second });
    }
    for (from, to, always) in [
        (End::Kafka, &[End::Http][..], true),
        (End::Http, &[End::Kafka], false),
        (End::Mqtt, &[End::Kafka], false),
        (End::Amqp, &[End::Http, End::Kafka], false),
    ] {
        let reloads = Scenario::new("reload storm", Flow::new(from, to))
            .events(40_000)
            .strikes(2, reload_storm);
        rows.push(if always { reloads.always() } else { reloads });
    }
    rows
}

/// A member that takes partitions, commits nothing, and leaves.
fn stranger(run: &mut Run<'_>) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", run.arena.kafka().brokers())
        .set("group.id", &run.from.name)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "2000")
        .set("heartbeat.interval.ms", "400")
        .set("enable.auto.commit", "false")
        .create()
        .expect("these settings are known");
    consumer.subscribe(&[&run.from.name]).expect("a topic's name");
    eventually("partitions of its own", LIMIT, || {
        let _ = consumer.poll(Duration::from_millis(20));
        let mine = consumer.assignment().map_or(0, |list| list.count());
        (mine > 0).then_some(())
    });
}

/// A second router of the same group takes part until it has moved things on; it ends in good order or is killed.
fn second_weft(run: &mut Run<'_>) {
    let yaml = run.file.yaml();
    let mut second: Weft = support::weft(&yaml).start();
    second.log().wait_for("an assignment", LIMIT, |line| {
        line.contains("partitions assigned")
    });
    run.wait_arrivals(500);
    if run.random.bool() {
        second.sigterm();
        assert_eq!(second.wait().code(), Some(0), "{}", second.log().tail());
    } else {
        second.kill9();
    }
}

/// Routes, destinations and their settings change again and again; the ingress does not, and is not opened again (C30).
fn reload_storm(run: &mut Run<'_>) {
    let before = applied(run);
    let mark = run.weft().log().mark();
    let file = &run.file;
    let (sections, keys) = (file.destinations.clone(), file.destination_keys.clone());
    let (more, routes) = (file.more.clone(), file.route_keys.clone());
    let mut next = Instant::now();
    for n in 0..RELOADS {
        let file = &mut run.file;
        (file.destinations, file.destination_keys) = (sections.clone(), keys.clone());
        (file.more, file.route_keys) = (more.clone(), routes.clone());
        // Settings of the router, a label, a destination that comes and goes; and every third time the client's own.
        file.destination_keys
            .push(format!("retry: {{ attempts: {} }}", 5 + n % 3));
        file.route_keys.push(format!("labels: {{ round: \"{n}\" }}"));
        if n % 2 == 0 {
            file.more
                .push("spare: { http: { url: \"http://127.0.0.1:9/\" } }".to_owned());
        }
        for section in file.destinations.iter_mut().filter(|_| n % 3 == 0) {
            *section = section.replacen("{ ", &format!("{{ timeout: {}s, ", 20 + n), 1);
        }
        run.reload();
        next += RELOAD_EVERY;
        std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
    }
    // The next storm begins with the same file.
    let file = &mut run.file;
    (file.destinations, file.destination_keys) = (sections, keys);
    (file.more, file.route_keys) = (more, routes);
    // Two that come close together are one.
    run.wait_for("half of the reloads applied", |run| {
        applied(run) - before >= RELOADS as f64 / 2.0
    });
    let since = run.weft().log().all().split_off(mark);
    let opened = since.iter().find(|line| {
        let of_ingress = line.contains("ingress=in") || line.contains("name=in");
        of_ingress
            && ["ready", "assigned", "connected"]
                .iter()
                .any(|word| line.contains(word))
    });
    assert_eq!(opened, None, "an ingress that did not change was opened again");
}

fn applied(run: &mut Run<'_>) -> f64 {
    let metrics = run.weft().metrics();
    metrics.sum("weft_config_reloads_total", &[("result", "applied")])
}
