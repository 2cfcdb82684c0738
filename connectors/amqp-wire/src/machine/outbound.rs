//! What the driver asks for: links, credit, settlements, messages.

use super::connection::Connection;
use super::event::Event;
use super::link::{LinkId, ReceiverSpec, SenderSpec, Side, Stand};
use super::output::OUTPUT_MAX;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::message;
use crate::performative::{
    Attach, DeliveryState, Detach, Disposition, Role, SenderSettleMode, Source, Target, Transfer,
};
use crate::value::{Fields, Symbol};

/// The rest of a message that waits for the peer's window.
pub(super) struct Pending {
    pub(super) handle: u32,
    rest: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// Asks for a link to receive by. It has no credit. `None`: not open, or as many links as there can be.
    pub fn attach_receiver(&mut self, spec: &ReceiverSpec) -> Option<LinkId> {
        let side = Side::Receiver(Receiver::default());
        let id = self.add(spec.name.clone(), side)?;
        let attach = Attach {
            snd_settle_mode: spec.snd_settle_mode,
            source: Some(spec.source.clone()),
            target: Some(Target::default()),
            max_message_size: Some(self.config.max_message_size),
            desired_capabilities: spec.desired_capabilities.clone(),
            ..Attach::new(spec.name.clone(), id.handle, Role::Receiver)
        };
        self.write(&attach);
        Some(id)
    }

    /// Asks for a link to send by. `None`: not open, or as many links as there can be.
    pub fn attach_sender(&mut self, spec: &SenderSpec) -> Option<LinkId> {
        let side = Side::Sender(Sender {
            settled: spec.snd_settle_mode == SenderSettleMode::Settled,
            ..Sender::default()
        });
        let id = self.add(spec.name.clone(), side)?;
        let attach = Attach {
            snd_settle_mode: spec.snd_settle_mode,
            source: Some(Source::default()),
            target: Some(spec.target.clone()),
            initial_delivery_count: Some(0),
            desired_capabilities: spec.desired_capabilities.clone(),
            ..Attach::new(spec.name.clone(), id.handle, Role::Sender)
        };
        self.write(&attach);
        Some(id)
    }

    fn add(&mut self, name: crate::value::Text, side: Side) -> Option<LinkId> {
        if !self.is_up() {
            return None;
        }
        let id = self.links.add(name, side)?;
        if id.handle > self.peer_handle_max {
            self.links.remove(id.handle);
            return None;
        }
        Some(id)
    }

    /// The filters that the peer applies to an attached receiving link. One that was asked for and is not here is not
    /// supported: everything comes.
    #[must_use]
    pub fn filter(&self, link: LinkId) -> Option<&Fields> {
        let found = self.links.look(link).filter(|found| found.stand == Stand::Up)?;
        match &found.side {
            Side::Receiver(receiver) => Some(&receiver.filter),
            Side::Sender(_) => None,
        }
    }

    /// How the peer hands messages out by an attached receiving link, if it says; one of
    /// [`crate::performative::distribution`].
    #[must_use]
    pub fn distribution(&self, link: LinkId) -> Option<&Symbol> {
        let found = self.links.look(link).filter(|found| found.stand == Stand::Up)?;
        match &found.side {
            Side::Receiver(receiver) => receiver.distribution.as_ref(),
            Side::Sender(_) => None,
        }
    }

    /// Whether the peer said that it sends settled by an attached receiving link: what it sends is gone from it.
    #[must_use]
    pub fn sends_settled(&self, link: LinkId) -> bool {
        match self.links.look(link).map(|found| &found.side) {
            Some(Side::Receiver(receiver)) => receiver.settled,
            Some(Side::Sender(_)) | None => false,
        }
    }

    /// Settles deliveries `first..=last` that came, all with the same outcome.
    pub fn settle(&mut self, first: u32, last: u32, state: DeliveryState) {
        if !self.is_up() {
            return;
        }
        self.write(&Disposition {
            role: Role::Receiver,
            first,
            last: (last != first).then_some(last),
            settled: true,
            state: Some(state),
            batchable: true,
        });
    }

    /// Whether a message can be sent by this link now. Where not, [`Event::Credit`] tells when it can.
    pub fn can_send(&mut self, link: LinkId) -> bool {
        let room = self.has_room();
        let Some(found) = self.links.get(link).filter(|found| found.stand != Stand::Leaving) else {
            return false;
        };
        let Side::Sender(sender) = &mut found.side else {
            return false;
        };
        let can = room && found.stand == Stand::Up && sender.credit > 0;
        sender.wants = !can;
        if sender.joins() {
            self.waiting.push_back(link);
        }
        can
    }

    /// What all senders need: a window, room for output, and few enough deliveries without an outcome.
    fn has_room(&self) -> bool {
        let max = self.config.max_unsettled;
        self.is_up()
            && self.pending.is_none()
            && self.session.remote_window > 0
            && self.session.unsettled() < max
            // One that never has its outcome must not keep the books growing.
            && self.session.span() < (max as usize).saturating_mul(8)
            && self.out.len() < OUTPUT_MAX
    }

    /// Sends an encoded message. Its number, by which its outcome is told, unless the link sends settled; `None` where
    /// [`Connection::can_send`] is false.
    pub fn send(&mut self, link: LinkId, message: &[u8]) -> Option<u32> {
        if !self.can_send(link) {
            return None;
        }
        let Some(Side::Sender(sender)) = self.links.get(link).map(|found| &mut found.side) else {
            return None;
        };
        sender.sent();
        let settled = sender.settled;
        let id = self.session.begin_delivery(link.serial, settled);
        let transfer = Transfer {
            handle: link.handle,
            delivery_id: Some(id),
            delivery_tag: Some(self.tag(id)),
            message_format: Some(message::FORMAT),
            settled: Some(settled),
            ..Transfer::default()
        };
        let taken = self.out.transfer(&transfer, message, self.peer_frame_max);
        self.session.sent_frame();
        let rest = message.get(taken..).unwrap_or_default();
        let sent = self.write_rest(link.handle, rest);
        if let Some(rest) = rest.get(sent..).filter(|rest| !rest.is_empty()) {
            self.pending = Some(Pending {
                handle: link.handle,
                rest: rest.to_vec(),
                sent: 0,
            });
        }
        Some(id)
    }

    /// Sends what is left of a message, as far as the peer's window goes.
    pub(super) fn continue_pending(&mut self) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let rest = pending.rest.get(pending.sent..).unwrap_or_default();
        pending.sent += self.write_rest(pending.handle, rest);
        if pending.sent < pending.rest.len() {
            self.pending = Some(pending);
        }
    }

    /// Writes the frames of a message behind its first one. How many bytes the window had room for.
    fn write_rest(&mut self, handle: u32, rest: &[u8]) -> usize {
        let transfer = Transfer {
            handle,
            ..Transfer::default()
        };
        let mut sent = 0;
        while let Some(left) = rest.get(sent..).filter(|left| !left.is_empty())
            && self.session.remote_window > 0
        {
            sent += self.out.transfer(&transfer, left, self.peer_frame_max);
            self.session.sent_frame();
        }
        sent
    }

    /// Deliveries that we sent and that have no outcome.
    #[must_use]
    pub fn unsettled(&self) -> u32 {
        self.session.unsettled()
    }

    /// Waits no longer for the outcome of a delivery that we sent: it may have been taken or not. The peer is told, and
    /// nothing will be told of it here. For peers that owe an outcome for longer than anybody waits: the books hold only so
    /// many deliveries beyond the oldest one that is open.
    pub fn give_up(&mut self, delivery_id: u32) {
        let given_up = self.session.give_up(delivery_id);
        if given_up && self.is_up() {
            self.write(&Disposition {
                role: Role::Sender,
                first: delivery_id,
                last: None,
                settled: true,
                state: None,
                batchable: true,
            });
            self.wake_senders();
        }
    }

    /// Detaches a link for good (`closed`), or so that its terminus stays (a durable subscription). Nothing is told of it any
    /// more; of its deliveries only those outcomes that had come already. A message of which the peer's window let only a part
    /// through is cut off by the detach: to take it back in form would need the window that is not there.
    pub fn detach(&mut self, link: LinkId, closed: bool) {
        if !self.is_up() {
            return;
        }
        let Some(found) = self.links.get(link).filter(|found| found.stand != Stand::Leaving) else {
            return;
        };
        found.stand = Stand::Leaving;
        self.forget(link);
        self.write(&Detach {
            handle: link.handle,
            closed,
            error: None,
        });
        self.events.retain(|event| match event {
            Event::Delivery(delivery) => delivery.link != link,
            Event::Attached { link: other, .. }
            | Event::Credit { link: other }
            | Event::TooLarge { link: other, .. } => *other != link,
            _ => true,
        });
    }

    /// A link is gone, or will be: what it was to send, and the outcomes that it waited for.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.session.forget(link.serial);
        self.pending.take_if(|pending| pending.handle == link.handle);
        self.waiting.retain(|other| *other != link);
    }

    /// Tells those who wanted to send and can.
    pub(super) fn wake_senders(&mut self) {
        while !self.waiting.is_empty() && self.has_room() {
            let link = self.waiting.pop_front();
            let Some((link, found)) = link.and_then(|link| Some((link, self.links.get(link)?))) else {
                continue;
            };
            if let Side::Sender(sender) = &mut found.side
                && sender.leaves()
            {
                self.events.push_back(Event::Credit { link });
            }
        }
    }
}
