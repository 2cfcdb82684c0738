//! The router's own process is hurt: killed, and frozen for longer than its sessions last.

use std::time::Duration;

use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;

/// Kills in one run.
const KILLS: usize = 3;
/// Longer than the session of its Kafka client (2 s), and than the MQTT broker waits for a sign of life (1.5 times the
/// keep-alive).
const FREEZE: Duration = Duration::from_secs(4);

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for (from, to, always) in [
        (End::Http, &[End::Kafka, End::Amqp][..], true),
        (End::Kafka, &[End::Http], true),
        (End::Amqp, &[End::Kafka], true),
        (End::Mqtt, &[End::Kafka], true),
        (End::Http, &[End::Kafka], false),
        (End::Http, &[End::Http], false),
        (End::Kafka, &[End::Kafka], false),
        (End::Kafka, &[End::Amqp], false),
        (End::Kafka, &[End::Mqtt], false),
        (End::Amqp, &[End::Http], false),
        (End::Mqtt, &[End::Http], false),
        (End::Mqtt, &[End::Kafka, End::Http], false),
        (End::Amqp, &[End::Mqtt, End::Http], false),
        (End::Kafka, &[End::Http, End::Mqtt], false),
    ] {
        let row = Scenario::new("kill -9 of Weft", Flow::new(from, to)).strikes(KILLS, |run| run.kill_weft());
        rows.push(if always { row.always() } else { row });
    }
    for (from, to, always) in [
        (End::Kafka, End::Http, true),
        (End::Http, End::Kafka, false),
        (End::Amqp, End::Kafka, false),
        (End::Mqtt, End::Kafka, false),
        (End::Kafka, End::Mqtt, false),
        (End::Kafka, End::Amqp, false),
    ] {
        let row = Scenario::new("SIGSTOP of Weft", Flow::new(from, &[to]))
            .prepare(short_sessions)
            .strikes(1, freeze_weft);
        rows.push(if always { row.always() } else { row });
    }
    rows
}

/// Sessions that end while the router stands still.
fn short_sessions(run: &mut Run<'_>) {
    let shorten = |text: &mut String| *text = text.replace("client_id:", "keep_alive: 1s, client_id:");
    shorten(&mut run.file.ingress);
    run.file.destinations.iter_mut().for_each(shorten);
}

fn freeze_weft(run: &mut Run<'_>) {
    run.weft().freeze();
    run.nothing_moves_for(FREEZE);
    run.weft().thaw();
}
