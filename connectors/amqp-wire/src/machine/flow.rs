//! Flow (transport 2.7.4), both ways: the windows and the credit of the peer, and ours.

use super::connection::Connection;
use super::event::{Event, Violation};
use super::inbound::unattached;
use super::link::{LinkId, Side, Stand};
use crate::performative::Flow;

impl Connection {
    /// Sets how many more deliveries may come by this link; at most 2^31 - 1. Lowering it does not call back what is on its
    /// way.
    pub fn set_credit(&mut self, link: LinkId, credit: u32) {
        if !self.is_up() {
            return;
        }
        let Some(found) = self.links.get(link).filter(|found| found.stand == Stand::Up) else {
            return;
        };
        if let Side::Receiver(receiver) = &mut found.side {
            receiver.grant(credit);
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
            let (count, credit) = match &link.side {
                Side::Sender(sender) => (sender.delivery_count, sender.credit),
                Side::Receiver(receiver) => (receiver.delivery_count, receiver.credit),
            };
            flow.delivery_count = Some(count);
            flow.link_credit = Some(credit);
        }
        self.write(&flow);
    }
}
