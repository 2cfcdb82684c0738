//! One look at what was read: packets to the lane, to the session's books and to the subscription.
//!
//! Invariants: packets are taken in their order; a message without credit ends the turn, and is the first of the next one. A fault
//! ends the connection, and nothing of the turn is delivered.
//! Does not know: when a turn is made (`session`).

use weft_api::ingress::Incoming;

use super::desk::{Desk, Room};
use super::inbox::{Arrival, Inbox};
use super::subscription::{Answer, Subscription};
use crate::client::end::End;
use crate::client::link::Link;
use crate::client::wire::frame::Frame;
use crate::client::wire::{ack, disconnect, kind, publish, subscribe};

/// A message for which there is no credit.
pub(super) struct Held {
    incoming: Incoming,
    id: u16,
    qos: u8,
}

/// One look at what was read.
pub(super) struct Turn<'a> {
    pub(super) link: &'a mut Link,
    pub(super) inbox: &'a mut Inbox,
    pub(super) subscription: &'a mut Subscription,
    pub(super) held: &'a mut Option<Held>,
    /// What the broker said of the subscription.
    pub(super) said: Option<Answer>,
}

impl Turn<'_> {
    /// # Errors
    /// Why the connection is over.
    pub(super) fn run(&mut self, room: &mut Room, desk: &mut Desk) -> Result<(), End> {
        if let Some(held) = self.held.take() {
            self.admit(held, room, desk);
        }
        while self.held.is_none() {
            let Some(frame) = self.link.frame()? else { break };
            self.packet(&frame, room, desk)
                .map_err(|end| end.of(frame.kind()))?;
        }
        Ok(())
    }

    fn packet(&mut self, frame: &Frame, room: &mut Room, desk: &mut Desk) -> Result<(), End> {
        let version = self.link.version();
        match frame.kind() {
            kind::PUBLISH => self.publish(frame, room, desk)?,
            kind::PUBREL => {
                let released = ack::decode(version, &frame.body)?;
                self.inbox.released(released.id, self.link.out());
            }
            kind::SUBACK => {
                let suback = subscribe::decode(version, &frame.body)?;
                match self.subscription.answered(version, &suback) {
                    Some(answer) => self.said = Some(answer),
                    None => return Err(End::protocol("it answers no SUBSCRIBE of ours")),
                }
            }
            kind::PINGRESP => {}
            kind::DISCONNECT => return Err(End::disconnected(&disconnect::decode(version, &frame.body)?)),
            _ => return Err(End::protocol("it has no place in a session that only subscribes")),
        }
        Ok(())
    }

    fn publish(&mut self, frame: &Frame, room: &mut Room, desk: &mut Desk) -> Result<(), End> {
        let received = publish::decode(self.link.version(), frame.first, &frame.body)?;
        let (id, qos) = (received.id, received.qos);
        if qos > 0 && self.inbox.arrived(id, qos, received.dup, self.link.out()) == Arrival::Repeated {
            return Ok(());
        }
        let incoming = match frame.cut {
            None => desk.mapper.map(&received.publish),
            Some(size) => desk.mapper.cut(&received.publish, size),
        };
        if qos == 0 {
            desk.loose(incoming);
        } else {
            self.admit(Held { incoming, id, qos }, room, desk);
        }
        Ok(())
    }

    fn admit(&mut self, held: Held, room: &mut Room, desk: &mut Desk) {
        if room.takes(held.incoming.event.size()) {
            self.inbox.delivered(held.id, held.qos);
            desk.batch.push(held.incoming);
        } else {
            *self.held = Some(held);
        }
    }
}
