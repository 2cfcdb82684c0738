//! Flow (transport 2.7.4), both ways: the windows and the credit of the peer, and ours.
//!
//! A flow that the peer asks for is owed, and written once for each link however often it asked, while there is room for
//! output: a peer that asks and does not read costs no memory.

use super::connection::{Connection, OUTPUT_MAX};
use super::event::{Event, Violation};
use super::inbound::unattached;
use super::link::{LinkId, Side, Stand};
use crate::performative::Flow;

impl Connection {
    /// Sets how many more deliveries may come by this link; at most 2^31 - 1. Lowering it does not call back what is on its
    /// way.
    pub fn set_credit(&mut self, link: LinkId, credit: u32) {
        let Some(found) = self.links.get(link).filter(|found| found.stand == Stand::Up) else {
            return;
        };
        if let Side::Receiver(receiver) = &mut found.side {
            receiver.grant(credit);
            self.write_link_flow(link);
        }
    }

    /// How many more deliveries may come by this link, or go.
    #[must_use]
    pub fn credit(&mut self, link: LinkId) -> u32 {
        match self.links.get(link).map(|found| &found.side) {
            Some(Side::Receiver(receiver)) => receiver.credit,
            Some(Side::Sender(sender)) => sender.credit,
            None => 0,
        }
    }

    /// Keeps the session's window as it is (it runs down as transfers come), or opens it again.
    pub fn hold(&mut self, held: bool) {
        self.session.hold(held);
        self.write_flows();
    }

    /// The peer's flow.
    pub(super) fn flow(&mut self, flow: &Flow) -> Result<(), Violation> {
        self.session.flowed(flow);
        self.continue_pending();
        let Some(remote) = flow.handle else {
            self.owes_flow |= flow.echo;
            return Ok(());
        };
        let id = self.links.by_remote(remote).ok_or_else(|| unattached(remote))?;
        let Some(link) = self.links.get(id).filter(|link| link.stand == Stand::Up) else {
            // A link that we have detached is not spoken of any more, not even in answer.
            self.owes_flow |= flow.echo;
            return Ok(());
        };
        let mut answer = flow.echo;
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
        if answer && !link.owes_flow {
            link.owes_flow = true;
            self.owed.push(id);
        }
        Ok(())
    }

    /// Writes the flows that are due: those that were asked for, and the session's when much of its window is used.
    pub(super) fn write_flows(&mut self) {
        if !self.is_up() {
            return;
        }
        while self.output().len() < OUTPUT_MAX
            && let Some(id) = self.owed.pop()
        {
            if let Some(link) = self.links.get(id) {
                link.owes_flow = false;
                self.write_link_flow(id);
            }
        }
        let asked = self.owes_flow && self.output().len() < OUTPUT_MAX;
        if asked || self.session.owes_flow() {
            self.owes_flow = false;
            let flow = self.session.flow();
            self.write(&flow);
        }
    }

    fn write_link_flow(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        let (count, credit) = match &link.side {
            Side::Sender(sender) => (sender.delivery_count, sender.credit),
            Side::Receiver(receiver) => (receiver.delivery_count, receiver.credit),
        };
        self.owes_flow = false;
        let flow = Flow {
            handle: Some(id.handle),
            delivery_count: Some(count),
            link_credit: Some(credit),
            ..self.session.flow()
        };
        self.write(&flow);
    }
}
