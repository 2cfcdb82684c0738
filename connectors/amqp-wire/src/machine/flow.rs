//! Flow (transport 2.7.4), both ways: the windows and the credit of the peer, and ours.

use super::connection::Connection;
use super::event::{Event, Violation};
use super::inbound::unattached;
use super::link::{LinkId, Side, Stand};
use super::receiver::Receiver;
use crate::performative::Flow;

impl Connection {
    /// Sets how many more deliveries may come by this link; at most 2^31 - 1. Lowering it does not call back what is on its
    /// way.
    pub fn set_credit(&mut self, link: LinkId, credit: u32) {
        self.grant(link, |receiver| receiver.grant(credit));
    }

    /// The same for as many as there are (transport 2.6.7): the peer uses the credit as far as it can now, and gives the
    /// rest back ([`Event::Credit`]). Over once [`Connection::credit`] is zero and no message is
    /// [half way](Connection::is_half_way).
    pub fn drain(&mut self, link: LinkId, credit: u32) {
        self.grant(link, |receiver| receiver.drain(credit));
    }

    fn grant(&mut self, link: LinkId, grant: impl FnOnce(&mut Receiver)) {
        if !self.is_up() {
            return;
        }
        let Some(found) = self.links.get(link).filter(|found| found.stand == Stand::Up) else {
            return;
        };
        if let Side::Receiver(receiver) = &mut found.side {
            grant(receiver);
            self.answer_flow(Some(link.handle));
        }
    }

    /// How many more deliveries may come by this link, or go.
    #[must_use]
    pub fn credit(&self, link: LinkId) -> u32 {
        match self.links.look(link).map(|found| &found.side) {
            Some(Side::Receiver(receiver)) => receiver.credit,
            Some(Side::Sender(sender)) => sender.credit,
            None => 0,
        }
    }

    /// Whether a message has begun to come by this link, and has not ended. It has used its credit at its beginning.
    #[must_use]
    pub fn is_half_way(&self, link: LinkId) -> bool {
        match self.links.look(link).map(|found| &found.side) {
            Some(Side::Receiver(receiver)) => receiver.is_half_way(),
            Some(Side::Sender(_)) | None => false,
        }
    }

    /// Lets a message go on that is half way, after the peer has given all credit back.
    ///
    /// NOTE: by the specification a message uses its credit when it begins. Artemis (proton-j) counts it when it ends, and
    /// where the session's window stopped it half way, a drain gives back the credit that the message is still to use. So
    /// it is given once more.
    pub fn go_on(&mut self, link: LinkId) {
        if self.credit(link) > 0 || !self.is_half_way(link) {
            return;
        }
        // Not as a drain, or it would be given back once more.
        self.set_credit(link, 1);
        if let Some(Side::Receiver(receiver)) = self.links.get(link).map(|found| &mut found.side) {
            receiver.credit = 0;
            receiver.go_on();
        }
    }

    /// Keeps the session's window as it is (it runs down as transfers come), or opens it again.
    pub fn hold(&mut self, held: bool) {
        self.session.hold(held);
        if self.is_up() && self.session.owes_flow() {
            let flow = self.session.flow();
            self.write(&flow);
        }
    }

    /// The peer's flow.
    pub(super) fn flow(&mut self, flow: &Flow) -> Result<(), Violation> {
        self.session.flowed(flow);
        self.continue_pending();
        let mut answer = flow.echo;
        let mut about = None;
        if let Some(remote) = flow.handle {
            let handle = self.links.by_remote(remote).ok_or_else(|| unattached(remote))?;
            // A link that we have detached is not spoken of any more, not even in answer.
            if let Some(link) = self.links.at(handle).filter(|link| link.stand == Stand::Up) {
                let id = link.id(handle);
                about = Some(handle);
                match &mut link.side {
                    Side::Sender(sender) => {
                        answer |= sender.flow(flow);
                        if sender.joins() {
                            self.waiting.push_back(id);
                        }
                    }
                    Side::Receiver(receiver) => {
                        if flow.delivery_count.is_some_and(|count| receiver.advanced(count)) {
                            self.events.push_back(Event::Credit { link: id });
                        }
                    }
                }
            }
        }
        if answer {
            self.answer_flow(about);
        }
        Ok(())
    }

    /// Says how the session stands, and the link.
    fn answer_flow(&mut self, handle: Option<u32>) {
        let mut flow = self.session.flow();
        if let Some(handle) = handle
            && let Some(link) = self.links.at(handle)
        {
            flow.handle = Some(handle);
            let (count, credit, drain) = match &link.side {
                Side::Sender(sender) => (sender.delivery_count, sender.credit, false),
                Side::Receiver(receiver) => (receiver.delivery_count, receiver.credit, receiver.draining),
            };
            flow.delivery_count = Some(count);
            flow.link_credit = Some(credit);
            flow.drain = drain;
        }
        self.write(&flow);
    }
}
