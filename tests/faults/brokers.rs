//! A broker is hurt, on either side of the router: killed and started again, frozen, made to forget a session.
//!
//! Kafka and Artemis keep over a kill what they confirmed. Mosquitto keeps it over a stop in good order only, so it is
//! stopped; what it forgets when it is killed was never Weft's to keep.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use weft_rig::eventually;

use crate::flow::{End, Flow, WINDOW};
use crate::load::FLOOD_WINDOW;
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::LIMIT;

/// Longer than sessions with Kafka last (2 s), and than a breaker stays open (1 s).
const FREEZE: Duration = Duration::from_secs(4);

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for (from, to, victim, always) in [
        (End::Http, End::Kafka, Victim::Kafka, false),
        (End::Mqtt, End::Kafka, Victim::Kafka, false),
        (End::Amqp, End::Kafka, Victim::Kafka, false),
        (End::Kafka, End::Http, Victim::Kafka, false),
        (End::Kafka, End::Amqp, Victim::Artemis, false),
        (End::Amqp, End::Http, Victim::Artemis, false),
        (End::Http, End::Amqp, Victim::Artemis, false),
        (End::Journal, End::Kafka, Victim::Artemis, false),
        (End::Kafka, End::Journal, Victim::Artemis, false),
    ] {
        let kill = Scenario::new(format!("kill -9 of {victim:?}"), Flow::new(from, &[to]))
            .strikes(2, move |run| kill(run, victim))
            .excuses(victim.costs(from));
        rows.push(if always { kill.always() } else { kill });
        let freeze = Scenario::new(format!("SIGSTOP of {victim:?}"), Flow::new(from, &[to]))
            .strikes(1, move |run| freeze(run, victim))
            .excuses(victim.costs(from));
        rows.push(freeze);
    }
    for (from, to) in [(End::Mqtt, End::Http), (End::Http, End::Mqtt)] {
        let stop = Scenario::new("restart of Mosquitto", Flow::new(from, &[to]))
            .strikes(2, |run| {
                run.arena.mosquitto().stop();
                // Taking it starts it.
                run.arena.mosquitto();
            })
            .excuses(FLOOD_WINDOW);
        rows.push(stop);
        let freeze = Scenario::new("SIGSTOP of Mosquitto", Flow::new(from, &[to]))
            .strikes(1, |run| {
                run.arena.mosquitto().freeze();
                run.nothing_moves_for(FREEZE);
                run.arena.mosquitto().thaw();
            })
            .excuses(FLOOD_WINDOW);
        rows.push(freeze);
    }
    for from in [End::Http, End::Kafka] {
        // QoS 2 is where a sender has a session that can be forgotten. What was released and not completed comes again.
        let wipe = Scenario::new("MQTT session wiped", Flow::new(from, &[End::Mqtt]))
            .prepare(|run| {
                let out = &mut run.file.destinations[0];
                *out = out.replace("client_id:", "qos: 2, client_id:");
            })
            .strikes(3, wipe_session)
            .excuses(WINDOW)
            .unordered();
        rows.push(if from == End::Http { wipe.always() } else { wipe });
    }
    for (from, to, always) in [
        (End::Journal, End::Kafka, true),
        (End::Kafka, End::Amqp, true),
        (End::Amqp, End::Kafka, false),
        (End::Kafka, End::Journal, false),
    ] {
        let in_turn = Scenario::new("kill -9 of Weft and its brokers in turn", Flow::new(from, &[to]))
            .events(30_000)
            .strikes(IN_TURN.len(), |run| match IN_TURN[run.struck] {
                None => run.kill_weft(),
                Some(victim) => kill(run, victim),
            })
            .excuses(FLOOD_WINDOW);
        rows.push(if always { in_turn.always() } else { in_turn });
    }
    for (from, always) in [(End::Mqtt, true), (End::Amqp, false), (End::Http, false)] {
        let away = Scenario::new("Kafka away, kill -9 of Weft", Flow::new(from, &[End::Kafka]))
            .strikes(1, kill_while_kafka_is_away)
            .excuses(2 * WINDOW);
        rows.push(if always { away.always() } else { away });
    }
    rows
}

/// Each in every order of two; `None` is Weft.
const IN_TURN: [Option<Victim>; 7] = [
    None,
    Some(Victim::Artemis),
    Some(Victim::Kafka),
    None,
    Some(Victim::Kafka),
    Some(Victim::Artemis),
    None,
];

/// Where the neighbours lose: nothing may be acknowledged that is not in Kafka.
fn kill_while_kafka_is_away(run: &mut Run<'_>) {
    run.arena.kafka().kill9();
    for _ in 0..3 {
        run.wait_for("events that wait for Kafka", |run| {
            let metrics = run.weft().metrics();
            metrics.sum("weft_obligations_pending", &[]) > 10.0
        });
        run.kill_weft();
    }
    // Taking it starts it.
    run.arena.kafka();
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Kafka,
    Artemis,
}

impl Victim {
    /// Duplicates beyond a window: what the sender's own client sends again.
    fn costs(self, from: End) -> usize {
        match (self, from) {
            (Victim::Artemis, End::Amqp | End::Journal) => FLOOD_WINDOW,
            _ => 0,
        }
    }
}

fn kill(run: &mut Run<'_>, victim: Victim) {
    match victim {
        Victim::Kafka => {
            run.arena.kafka().kill9();
            run.arena.kafka();
        }
        Victim::Artemis => {
            run.arena.artemis().kill9();
            run.arena.artemis();
        }
    }
}

fn freeze(run: &mut Run<'_>, victim: Victim) {
    match victim {
        Victim::Kafka => run.arena.kafka().freeze(),
        Victim::Artemis => run.arena.artemis().freeze(),
    }
    // From Kafka, no more than a window goes on: nothing is committed.
    run.nothing_moves_for(FREEZE);
    match victim {
        Victim::Kafka => run.arena.kafka().thaw(),
        Victim::Artemis => run.arena.artemis().thaw(),
    }
}

/// Another client comes by the router's client id and starts clean: the broker throws the router out and forgets all
/// that it kept for it.
fn wipe_session(run: &mut Run<'_>) {
    let name = run.to[0].name.clone();
    let broker = run.arena.mosquitto();
    let takeovers = || {
        let lines = broker.log().all();
        let of_router = |line: &&String| line.contains(&name) && line.contains("already connected");
        lines.iter().filter(of_router).count()
    };
    let before = takeovers();
    // While the router is on its way back from the last time, there is nobody to be thrown out.
    eventually("the takeover", LIMIT, || {
        connect_clean(broker.port(), &name);
        (takeovers() > before).then_some(())
    });
    assert!(run.wait_arrivals(100), "nothing arrives after the wipe");
}

/// Connects under a client id with a clean start, and leaves once the broker has answered: MQTT 5.0, 3.1 and 3.2. The
/// router, which comes back, may throw this one out in turn; by then the session is gone.
fn connect_clean(port: u16, client_id: &str) {
    let id = u8::try_from(client_id.len()).expect("a client id of the rig is short");
    let mut packet = vec![0x10, 13 + id];
    packet.extend(b"\x00\x04MQTT\x05\x02\x00\x05\x00\x00");
    packet.push(id);
    packet.extend(client_id.as_bytes());
    let mut broker = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
    broker.set_read_timeout(Some(LIMIT)).expect("a limit is no zero");
    broker.write_all(&packet).expect("the broker reads");
    let mut answer = [0; 2];
    broker.read_exact(&mut answer).expect("the broker answers");
    assert_eq!(answer[0], 0x20, "a CONNACK");
}
