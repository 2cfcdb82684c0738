//! A fake AMQP broker: it speaks as much of the protocol as a client needs to send or to receive, and turns hostile at the
//! moment that its case names.

use std::io::{self, Read as _, Write as _};
use std::sync::atomic::AtomicUsize;

use crate::amqp_bytes::{
    AMQP, SASL, binary, boolean, code, described, event, fields, frame, null, read_frame, split, symbol,
    text, uint,
};
use crate::amqp_cases;
use crate::arena::Arena;
use crate::fake::{Account, Case, Visit};

/// In place of what the hostility is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    SaslHeader,
    Mechanisms,
    Outcome,
    Header,
    Open,
    Begin,
    Attach,
    /// Before the good message (ingress).
    Message,
    /// In place of the credit (egress).
    Credit,
    /// In place of an outcome (egress).
    Disposition,
}

/// The delivery ids of the hostile messages begin at 0; the good one has this.
const GOOD: u32 = 50;

const ACCEPTED: u8 = 0x24;
const REJECTED: u8 = 0x25;

/// Speaks with one visitor until its end.
pub(crate) fn manners(mut visit: Visit<Stage>) -> io::Result<()> {
    let mut header = [0; 8];
    visit.stream.read_exact(&mut header)?;
    if header == *SASL {
        if visit.ends_here(Stage::SaslHeader) {
            return Ok(());
        }
        visit.stream.write_all(SASL)?;
        if visit.ends_here(Stage::Mechanisms) {
            return Ok(());
        }
        visit
            .stream
            .write_all(&frame(1, &described(0x40, &[symbol("ANONYMOUS")])))?;
        read_frame(&mut visit.stream)?;
        if visit.ends_here(Stage::Outcome) {
            return Ok(());
        }
        visit
            .stream
            .write_all(&frame(1, &described(0x44, &[vec![0x50, 0]])))?;
        visit.stream.read_exact(&mut header)?;
    }
    if visit.ends_here(Stage::Header) {
        return Ok(());
    }
    visit.stream.write_all(AMQP)?;
    converse(visit)
}

/// From `open` on.
fn converse(mut visit: Visit<Stage>) -> io::Result<()> {
    let (mut sent, mut receives) = (false, false);
    loop {
        let body = read_frame(&mut visit.stream)?;
        let args = fields(&body);
        let arg = |at: usize| args.get(at).copied().unwrap_or_default();
        let (stage, answer) = match code(&body) {
            Some(0x10) => (Stage::Open, open(&[])),
            Some(0x11) => (Stage::Begin, begin(&[])),
            Some(0x12) => {
                receives = arg(2) == [0x41];
                (Stage::Attach, attach(arg(0), arg(1), receives, &[]))
            }
            Some(0x13) if receives && !sent => {
                sent = true;
                (Stage::Message, split(GOOD, &event(visit.case.name), 16 << 10))
            }
            Some(0x14) => {
                let delivery = arg(1).to_vec();
                if !visit.hostile {
                    Account::add(&visit.account.taken);
                }
                (Stage::Disposition, disposition(&delivery))
            }
            Some(0x15) => {
                let state = args.iter().rev().find_map(|field| code(field));
                let count: Option<&AtomicUsize> = match state {
                    Some(ACCEPTED) => Some(&visit.account.taken),
                    Some(REJECTED) => Some(&visit.account.rejected),
                    _ => None,
                };
                count.map(Account::add);
                continue;
            }
            Some(0x18) => {
                return visit.stream.write_all(&frame(0, &described(0x18, &[])));
            }
            _ => continue,
        };
        if visit.ends_here(stage) {
            return Ok(());
        }
        visit.stream.write_all(&answer)?;
        if stage == Stage::Attach && !receives {
            if visit.ends_here(Stage::Credit) {
                return Ok(());
            }
            visit.stream.write_all(&credit())?;
        }
    }
}

/// `open` with properties.
pub(crate) fn open(properties: &[u8]) -> Vec<u8> {
    let mut args = vec![text("fake"), null(), uint(64 << 10), vec![0x60, 0xff, 0xff]];
    if !properties.is_empty() {
        args.extend([null(), null(), null(), null(), null(), properties.to_vec()]);
    }
    frame(0, &described(0x10, &args))
}

/// `begin` with properties.
pub(crate) fn begin(properties: &[u8]) -> Vec<u8> {
    let mut args = vec![vec![0x60, 0, 0], uint(0), uint(10_000), uint(10_000), uint(1000)];
    if !properties.is_empty() {
        args.extend([null(), null(), properties.to_vec()]);
    }
    frame(0, &described(0x11, &args))
}

/// `attach` as the other end of the visitor's link, with properties.
pub(crate) fn attach(name: &[u8], handle: &[u8], receives: bool, properties: &[u8]) -> Vec<u8> {
    let terminus = |code| described(code, &[text("a")]);
    let mut args = vec![
        name.to_vec(),
        handle.to_vec(),
        // Our role is the other one.
        boolean(!receives),
        null(),
        null(),
        terminus(0x28),
        terminus(0x29),
        null(),
        null(),
        uint(0),
    ];
    if !properties.is_empty() {
        args.extend([null(), null(), null(), properties.to_vec()]);
    }
    frame(0, &described(0x12, &args))
}

/// Credit for the first link.
fn credit() -> Vec<u8> {
    let args = [
        uint(0),
        uint(10_000),
        uint(0),
        uint(10_000),
        uint(0),
        uint(0),
        uint(1000),
    ];
    frame(0, &described(0x13, &args))
}

/// `accepted` for one delivery of the visitor's.
pub(crate) fn disposition(delivery: &[u8]) -> Vec<u8> {
    let args = [
        boolean(true),
        delivery.to_vec(),
        null(),
        boolean(true),
        described(ACCEPTED, &[]),
    ];
    frame(0, &described(0x15, &args))
}

/// Keeps what the cases need in one place.
pub(crate) fn entry(case: &Case<Stage>, port: u16) -> String {
    let name = case.name;
    format!(
        "{{ amqp: {{ url: \"amqp://127.0.0.1:{port}\", address: {name}, idle_timeout: 4s, container_id: {name} }}"
    )
}

#[test]
fn a_hostile_amqp_broker_that_is_read_from_disturbs_nobody() {
    let entry = |case: &Case<Stage>, port| entry(case, port) + ", window: { events: 100, bytes: 4MiB } }";
    Arena::start(amqp_cases::ingress(), manners, "ingress", entry).judge_ingress();
}

#[test]
fn a_hostile_amqp_broker_that_is_written_to_disturbs_nobody() {
    let entry = |case: &Case<Stage>, port| entry(case, port) + ", breaker: { initial: 100ms, max: 500ms } }";
    Arena::start(amqp_cases::egress(), manners, "destinations", entry).judge_egress();
}

/// A message by its annotations, for the cases.
pub(crate) fn section(code: u8, inside: &[u8]) -> Vec<u8> {
    [&[0x00, 0x53, code], inside].concat()
}

/// What a data section holds.
pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    section(0x75, &binary(bytes))
}
