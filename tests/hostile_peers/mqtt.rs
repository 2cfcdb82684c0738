//! A fake MQTT 5 broker: it speaks as much of the protocol as a client needs to subscribe or to publish, and turns hostile
//! at the moment that its case names.

use std::io::{self, Write as _};

use crate::arena::Arena;
use crate::fake::{Account, Case, Visit};
use crate::mqtt_bytes::{event, packet, properties, publish, read_packet};
use crate::mqtt_cases;

/// In place of what the hostility is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Connack,
    Suback,
    /// Before the good message (ingress).
    Message,
    /// In place of the first confirmation (egress).
    Puback,
}

/// The packet id of the good message; hostile ones have smaller ids.
const GOOD: u16 = 60_000;

/// Speaks with one visitor until its end.
pub(crate) fn manners(mut visit: Visit<Stage>) -> io::Result<()> {
    loop {
        let (first, rest) = read_packet(&mut visit.stream)?;
        let id = |at: usize| rest.get(at..at + 2).unwrap_or_default().to_vec();
        let (stage, answer) = match first >> 4 {
            1 => (Stage::Connack, packet(0x20, &[0, 0, 0])),
            8 => {
                if visit.ends_here(Stage::Suback) {
                    return Ok(());
                }
                let suback = packet(0x90, &[id(0), properties(&[]), vec![1]].concat());
                visit.stream.write_all(&suback)?;
                let name = visit.case.name;
                (Stage::Message, publish(b"in", GOOD, &event(name), b"good"))
            }
            3 => {
                let topic = usize::from(rest[0]) << 8 | usize::from(rest[1]);
                if !visit.hostile {
                    Account::add(&visit.account.taken);
                }
                (Stage::Puback, packet(0x40, &id(2 + topic)))
            }
            4 => {
                Account::add(&visit.account.taken);
                continue;
            }
            12 => {
                visit.stream.write_all(&packet(0xd0, &[]))?;
                continue;
            }
            14 => return Ok(()),
            _ => continue,
        };
        if visit.ends_here(stage) {
            return Ok(());
        }
        visit.stream.write_all(&answer)?;
    }
}

fn entry(case: &Case<Stage>, port: u16, more: &str) -> String {
    let name = case.name;
    format!("{{ mqtt: {{ url: \"mqtt://127.0.0.1:{port}\", client_id: {name}, keep_alive: 4s, {more}")
}

#[test]
fn a_hostile_mqtt_broker_that_is_read_from_disturbs_nobody() {
    let entry = |case: &Case<Stage>, port| {
        // One that cannot become an event would hold its session up, which is another matter.
        let more = "subscribe: [in], max_packet: 64KiB }, window: { events: 100, bytes: 16MiB }, on_malformed: drop }";
        entry(case, port, more)
    };
    Arena::start(mqtt_cases::ingress(), manners, "ingress", entry).judge_ingress();
}

#[test]
fn a_hostile_mqtt_broker_that_is_written_to_disturbs_nobody() {
    let entry = |case: &Case<Stage>, port| {
        entry(
            case,
            port,
            "topic: out }, breaker: { initial: 100ms, max: 500ms } }",
        )
    };
    Arena::start(mqtt_cases::egress(), manners, "destinations", entry).judge_egress();
}
