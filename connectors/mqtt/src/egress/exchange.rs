//! What goes to and fro on a live connection: messages out, confirmations in.
//!
//! Invariants: an event is laid out once, and straight into the connection's buffer; nothing is sent that is larger than the broker takes, or
//! beyond what it lets be in flight.
//! Does not know: when a connection begins or ends (`sender`).

use std::task::{Context, Poll};

use tokio::time::Instant;
use weft_api::egress::Ticket;
use weft_api::outcome::{Reason, SendError};

use super::answer::{self, Sent};
use super::sender::{BARREN, Sender, State};
use crate::client::end::End;
use crate::client::wire::frame::Frame;
use crate::client::wire::publish::{self, Manner};
use crate::client::wire::{ack, disconnect, kind};

/// Bytes that are written at a time.
const CHUNK: usize = 64 * 1024;

impl Sender {
    /// What the broker says.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(super) fn packets(&mut self) -> Result<(), End> {
        loop {
            let State::Live(link, _) = &mut self.state else {
                return Ok(());
            };
            let Some(frame) = link.frame()? else {
                return Ok(());
            };
            self.packet(&frame).map_err(|end| end.of(frame.kind()))?;
        }
    }

    fn packet(&mut self, frame: &Frame) -> Result<(), End> {
        let State::Live(link, _) = &mut self.state else {
            return Ok(());
        };
        let version = link.version();
        match frame.kind() {
            kind @ (kind::PUBACK | kind::PUBREC | kind::PUBCOMP) => {
                let ack = ack::decode(version, &frame.body)?;
                if let Some(confirmed) = self.outbox.answered(kind, &ack, link.out())? {
                    self.answered(confirmed.ticket, confirmed.code, confirmed.words);
                }
            }
            kind::PINGRESP => {}
            kind::DISCONNECT => return Err(End::disconnected(&disconnect::decode(version, &frame.body)?)),
            _ => return Err(End::protocol("it has no place in a session that only publishes")),
        }
        Ok(())
    }

    fn answered(&mut self, ticket: Ticket, code: u8, words: Option<&str>) {
        self.confirmed = Some(Instant::now());
        if std::mem::take(&mut self.barren) >= BARREN {
            self.outbox.allow(self.in_flight);
        }
        if code < 0x80 {
            return self.flights.confirmed(ticket);
        }
        let event = self.flights.event(ticket);
        let publish = event.and_then(|event| self.plan.layout.publish(event).ok());
        let topic = publish.map_or_else(String::new, |publish| publish.topic.into_owned());
        let sent = Sent {
            address: &self.plan.address,
            topic: &topic,
            templated: self.plan.layout.fixed_topic().is_none(),
        };
        if let Some(error) = answer::classify(code, words, &sent) {
            self.flights.failed(ticket, error);
        }
    }

    /// Sends as much as the broker and the socket take. Whether it did anything.
    pub(super) fn hand_over(&mut self, task: &mut Context<'_>) -> bool {
        let mut busy = false;
        loop {
            let wrote = self.encode();
            let State::Live(link, _) = &mut self.state else {
                return busy;
            };
            match link.poll_flush(task) {
                Poll::Pending => return busy | wrote,
                Poll::Ready(Ok(())) => {
                    for ticket in self.loose.drain(..) {
                        self.flights.confirmed(ticket);
                    }
                    self.flights.settle();
                }
                Poll::Ready(Err(why)) => {
                    self.lost(&End::Broken(why));
                    return true;
                }
            }
            if !wrote {
                return busy;
            }
            busy = true;
        }
    }

    /// Lays events of the present batch into the buffer.
    fn encode(&mut self) -> bool {
        let (State::Live(link, _), Some(slot)) = (&mut self.state, self.sending) else {
            return false;
        };
        let (now, version, qos) = (Instant::now(), link.version(), self.qos);
        let mut wrote = false;
        while link.backlog() < CHUNK && (qos == 0 || self.outbox.has_room()) {
            let Some((ticket, event)) = self.flights.next(slot) else {
                self.sending = None;
                break;
            };
            wrote = true;
            let mut manner = Manner {
                version,
                qos,
                dup: false,
                id: 0,
            };
            let (most, outbox) = (self.max_packet, &mut self.outbox);
            let sent = self.plan.layout.publish(event).and_then(|publish| {
                fits(publish::size(&publish, manner), most, &self.plan.address)?;
                if qos > 0 {
                    manner.id = outbox.send(ticket, now).unwrap_or_default();
                }
                publish::encode(link.out(), &publish, manner);
                Ok(())
            });
            match sent {
                Err(error) => self.flights.refused(slot, error),
                Ok(()) => {
                    self.flights.handed(slot);
                    if qos == 0 {
                        self.loose.push(ticket);
                    }
                }
            }
        }
        wrote
    }
}

fn fits(size: Option<usize>, most: u32, address: &str) -> Result<(), SendError> {
    let limit = most.min(268_435_460);
    match size {
        Some(size) if size as u64 <= u64::from(limit) => Ok(()),
        _ => Err(SendError::event(
            Reason::TooLarge,
            format!(
                "{address}: the message would have {} bytes, and the broker's Maximum Packet Size is {limit}",
                size.map_or_else(|| "too many".to_owned(), |size| size.to_string())
            ),
        )),
    }
}
