//! The network between Weft and its neighbours fails, as packets: both ends of a flow lead through one [`Hop`].
//!
//! What lasts is longer than the patience that the file gives to each protocol, so that connections are given up in the
//! middle of it; flaps are shorter, so that they are not.

use std::time::Duration;

use weft_rig::{Hop, Lacking, Loss};

use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;

/// How long a partition lasts: twice the patience.
const PARTED: Duration = Duration::from_secs(3);
/// How long a cable is out, and in again.
const FLAP: Duration = Duration::from_millis(300);
const FLAPS: usize = 4;
/// How long every packet is answered with RST.
const RESETTING: Duration = Duration::from_millis(500);
/// In kilobits a second, both directions together: some 600 events a second.
const SLOW: u32 = 4_000;
/// Events that pass over the slow link.
const SLOWLY: usize = 600;

type Fault = (&'static str, fn(&mut Run<'_>));

const FAULTS: [Fault; 6] = [
    ("one-way partition: requests lost", requests_lost),
    ("one-way partition: answers lost", answers_lost),
    ("partition", parted),
    ("RST in the middle", resetting),
    ("flaps", flaps),
    ("slow link", slow),
];

/// The rows of this file; an error where this machine has no network to hurt.
pub(crate) fn scenarios() -> Result<Vec<Scenario>, Lacking> {
    drop(Hop::new()?);
    // Mosquitto 2.0.11 sends all it holds for a session once that is resumed, past the Receive Maximum: what a link then
    // loses of the acknowledgements has no bound that is ours. Artemis keeps to it.
    let flows = [
        Flow::new(End::Journal, &[End::Kafka]),
        Flow::new(End::Kafka, &[End::Amqp]),
        Flow::new(End::Amqp, &[End::Http]),
        Flow::new(End::Http, &[End::Mqtt]),
    ];
    let mut rows = Vec::new();
    for (n, flow) in flows.iter().enumerate() {
        let in_turn = Scenario::new("network: each of these faults", flow.clone());
        let in_turn = row(in_turn.strikes(FAULTS.len(), |run| FAULTS[run.struck].1(run)));
        // Every change has time for one of them.
        rows.push(if n == 0 { in_turn.always() } else { in_turn });
    }
    for (name, fault) in FAULTS {
        let each = flows
            .iter()
            .map(|flow| row(Scenario::new(name, flow.clone()).strikes(2, fault)));
        rows.extend(each);
    }
    Ok(rows)
}

/// Both ends through the hop, with a patience of seconds.
fn row(scenario: Scenario) -> Scenario {
    let (is_kafka, is_http) = (scenario.flow.from == End::Kafka, scenario.flow.from == End::Http);
    let scenario = scenario.prepare(|run| {
        run.file.sections = "limits: { memory: 16MiB }".to_owned();
        let near = run.arena.kafka().brokers().to_owned();
        let far = run.arena.far_kafka();
        let host = hop(run).host().to_owned();
        let through = |section: &str| section.replace(&near, &far).replace("127.0.0.1", &host);
        let ingress = run.file.ingress.clone();
        if run.from.end == End::Http {
            run.from.host = host.clone();
        } else {
            run.file.ingress = patient(run.from.end, &through(&ingress), "");
        }
        for (section, place) in run.file.destinations.iter_mut().zip(&run.to) {
            *section = patient(place.end, &through(section), ", timeout: 1500ms");
        }
    });
    if is_kafka {
        // The strikes need something to hit.
        scenario.events(50_000)
    } else if is_http {
        // The quickest of all.
        scenario.events(60_000)
    } else {
        scenario
    }
}

/// A section that gives up after a second and a half.
fn patient(end: End, section: &str, timeout: &str) -> String {
    let keys = match end {
        End::Http => ", connect_timeout: 1s",
        End::Kafka => "",
        End::Amqp => ", idle_timeout: 1500ms",
        End::Mqtt | End::Journal => ", keep_alive: 1s",
    };
    let at = section.rfind(" }\n").unwrap_or(section.len() - " }".len());
    // Of an ingress the window follows, on a line of its own.
    let at = section.find(" }\n    window").unwrap_or(at);
    format!("{}{keys}{timeout}{}", &section[..at], &section[at..])
}

fn hop<'a>(run: &'a mut Run<'_>) -> &'a Hop {
    run.arena.hop().expect("without one there are no such rows")
}

/// The ports of the two ends.
fn ports(run: &mut Run<'_>) -> [u16; 2] {
    let prefix = format!("{}:", hop(run).host());
    let port = |section: &str| {
        let after = section.split(&prefix).nth(1)?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let ingress = port(&run.file.ingress).unwrap_or(run.from.port);
    [
        ingress,
        port(&run.file.destinations[0]).expect("it leads through the hop"),
    ]
}

/// A loss on the way to one end, to the other, or to both.
fn lost(run: &mut Run<'_>, loss: Loss, time: Duration) {
    let [ingress, destination] = ports(run);
    match run.random.u8(..3) {
        0 => hop(run).lose_at(ingress, loss),
        1 => hop(run).lose_at(destination, loss),
        _ => hop(run).lose(loss),
    }
    last(run, time);
    heal(run);
}

/// The fault has to last, whatever happens: nothing is waited for.
fn last(run: &mut Run<'_>, time: Duration) {
    std::thread::sleep(time);
    if hop(run).lost() == 0 {
        let log = run.weft().log().tail();
        panic!("void: no packet met fault {}; the log:\n{log}", run.struck);
    }
}

/// The network works again, and so does the flow.
fn heal(run: &mut Run<'_>) {
    hop(run).heal();
    assert!(
        run.wait_arrivals(100),
        "nothing arrives after the network is well again"
    );
}

fn requests_lost(run: &mut Run<'_>) {
    lost(run, Loss::Requests, PARTED);
}

fn answers_lost(run: &mut Run<'_>) {
    lost(run, Loss::Answers, PARTED);
}

fn parted(run: &mut Run<'_>) {
    lost(run, Loss::Both, PARTED);
}

fn resetting(run: &mut Run<'_>) {
    lost(run, Loss::Reset, RESETTING);
}

fn flaps(run: &mut Run<'_>) {
    for _ in 0..FLAPS {
        hop(run).unplug();
        std::thread::sleep(FLAP);
        hop(run).heal();
        std::thread::sleep(FLAP);
    }
    heal(run);
}

fn slow(run: &mut Run<'_>) {
    hop(run).slow(SLOW);
    assert!(run.wait_arrivals(SLOWLY), "nothing passes a slow link");
    hop(run).heal();
}
