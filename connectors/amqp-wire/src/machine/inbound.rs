//! Frames of an open connection: what the peer says, and what we make of it.

use bytes::Bytes;

use super::connection::{Connection, Phase, out_of_place};
use super::event::{Delivery, Ended, Event, Violation};
use super::link::{Side, Stand};
use super::receiver::Complete;
use crate::condition;
use crate::performative::{
    Attach, Close, DeliveryState, Detach, Disposition, End, Performative, Role, SenderSettleMode, Transfer,
};
use crate::value::{Fields, Value};

impl Connection {
    /// One frame; an empty body is a heartbeat.
    pub(super) fn frame(&mut self, channel: u16, body: &Bytes) -> Result<(), Violation> {
        if body.is_empty() {
            return Ok(());
        }
        let (performative, payload) = Performative::decode(body)?;
        match (&self.phase, performative) {
            (_, Performative::Close(close)) => {
                self.closed(close);
                Ok(())
            }
            // The peer had not heard of our close yet.
            (Phase::Closing, _) => Ok(()),
            (Phase::Opening, Performative::Open(open)) => self.opened(&open),
            (Phase::Opening, _) => Err(out_of_place("something else came before open")),
            (_, Performative::Open(_)) => Err(out_of_place("a second open came")),
            (Phase::Beginning, Performative::Begin(begin)) => self.begun(&begin, channel),
            (_, Performative::End(end)) => {
                self.session_ended(end);
                Ok(())
            }
            (Phase::Up, performative) if channel == self.session.remote_channel => {
                self.up(performative, payload)
            }
            (_, performative) => {
                let what = format!(
                    "{} came on channel {channel}, which has no session",
                    performative.name()
                );
                Err(Violation::new(condition::NOT_ALLOWED, what))
            }
        }
    }

    fn up(&mut self, performative: Performative, payload: Bytes) -> Result<(), Violation> {
        match performative {
            Performative::Transfer(transfer) => self.transfer(&transfer, payload),
            Performative::Disposition(disposition) => {
                self.disposition(disposition);
                Ok(())
            }
            Performative::Flow(flow) => self.flow(&flow),
            Performative::Attach(attach) => self.attached(*attach),
            Performative::Detach(detach) => self.detached(detach),
            Performative::Begin(_) => Err(Violation::new(condition::NOT_ALLOWED, "a second begin came")),
            // Handled before.
            Performative::Open(_) | Performative::End(_) | Performative::Close(_) => Ok(()),
        }
    }

    fn closed(&mut self, close: Close) {
        if matches!(self.phase, Phase::Closing) {
            return self.end(Ended::Closed);
        }
        self.write(&Close::default());
        self.end(Ended::ByPeer(close.error));
    }

    /// One session is all there is: with it the connection goes.
    fn session_ended(&mut self, end: End) {
        self.write(&End::default());
        self.write(&Close::default());
        self.end(Ended::ByPeer(end.error));
    }

    fn transfer(&mut self, transfer: &Transfer, payload: Bytes) -> Result<(), Violation> {
        self.session.received()?;
        let handle = self
            .links
            .by_remote(transfer.handle)
            .ok_or_else(|| unattached(transfer.handle))?;
        let Some(link) = self.links.at(handle) else {
            return Err(unattached(transfer.handle));
        };
        let id = link.id(handle);
        let Side::Receiver(receiver) = &mut link.side else {
            return Err(Violation::new(
                condition::NOT_ALLOWED,
                "a transfer came on a link that we send by",
            ));
        };
        if link.stand == Stand::Leaving {
            // What was on its way when we detached is given back by the peer itself.
            return Ok(());
        }
        let (session, max) = (&mut self.session, self.config.max_message_size);
        match receiver.transfer(transfer, payload, max, |id| session.delivery(id))? {
            None => {}
            Some(Complete::Aborted) => self.events.push_back(Event::Credit { link: id }),
            Some(Complete::Message {
                delivery_id,
                tag,
                settled,
                message_format,
                payload,
            }) => self.events.push_back(Event::Delivery(Delivery {
                link: id,
                delivery_id,
                tag,
                settled,
                message_format,
                payload,
            })),
            Some(Complete::TooLarge {
                delivery_id,
                settled,
                bytes,
            }) => self.events.push_back(Event::TooLarge {
                link: id,
                delivery_id,
                settled,
                bytes,
            }),
        }
        Ok(())
    }

    fn disposition(&mut self, disposition: Disposition) {
        // As sender it speaks of what we received, and settled with our only word.
        if disposition.role == Role::Sender {
            return;
        }
        let Disposition {
            first,
            last,
            settled,
            state,
            ..
        } = disposition;
        let terminal = matches!(
            state,
            Some(
                DeliveryState::Accepted
                    | DeliveryState::Rejected(_)
                    | DeliveryState::Released
                    | DeliveryState::Modified(_)
            )
        );
        if !terminal && !settled {
            return;
        }
        let state = state.map(without_maps);
        let (events, out) = (&mut self.events, &mut self.out);
        self.session.settle(first, last.unwrap_or(first), |first, last| {
            if !settled {
                let ours = Disposition {
                    role: Role::Sender,
                    first,
                    last: (last != first).then_some(last),
                    settled: true,
                    state: None,
                    batchable: true,
                };
                out.write(&ours);
            }
            events.push_back(Event::Outcome {
                first,
                last,
                state: state.clone(),
            });
        });
    }

    fn attached(&mut self, attach: Attach) -> Result<(), Violation> {
        if self.links.by_remote(attach.handle).is_some() {
            let what = format!("handle {} is attached twice", attach.handle);
            return Err(Violation::new(condition::HANDLE_IN_USE, what));
        }
        let Some(handle) = self.links.asked(&attach.name, attach.role) else {
            return Err(Violation::new(
                condition::NOT_ALLOWED,
                "it attaches a link that nobody asked for",
            ));
        };
        self.links.bind(handle, attach.handle);
        let Some(link) = self.links.at(handle) else {
            return Ok(());
        };
        let id = link.id(handle);
        let terminus = match &mut link.side {
            Side::Receiver(receiver) => {
                receiver.attached(attach.initial_delivery_count.unwrap_or(0));
                let source = attach.source;
                let there = source.is_some();
                let (filter, distribution) = source
                    .map(|source| (source.filter, source.distribution_mode))
                    .unwrap_or_default();
                receiver.filter = filter;
                receiver.distribution = distribution;
                receiver.settled = attach.snd_settle_mode == SenderSettleMode::Settled;
                there
            }
            Side::Sender(_) => attach.target.is_some(),
        };
        if link.stand == Stand::Asked {
            link.stand = if terminus { Stand::Up } else { Stand::Refused };
            if terminus {
                self.events.push_back(Event::Attached {
                    link: id,
                    max_message_size: attach.max_message_size.filter(|max| *max > 0),
                });
            }
        }
        Ok(())
    }

    fn detached(&mut self, detach: Detach) -> Result<(), Violation> {
        let handle = self
            .links
            .by_remote(detach.handle)
            .ok_or_else(|| unattached(detach.handle))?;
        let Some(link) = self.links.remove(handle) else {
            return Ok(());
        };
        self.forget(link.id(handle));
        if link.stand == Stand::Leaving {
            return Ok(());
        }
        self.write(&Detach {
            handle,
            closed: detach.closed,
            error: None,
        });
        self.events.push_back(Event::Detached {
            link: link.id(handle),
            refused: link.stand != Stand::Up,
            error: detach.error,
        });
        Ok(())
    }
}

/// A state of which one frame may make thousands of events: what is cheap to copy of it.
fn without_maps(state: DeliveryState) -> DeliveryState {
    match state {
        DeliveryState::Rejected(Some(mut error)) => {
            error.info = Fields::default();
            DeliveryState::Rejected(Some(error))
        }
        DeliveryState::Modified(mut modified) => {
            modified.message_annotations = Fields::default();
            DeliveryState::Modified(modified)
        }
        DeliveryState::Other(_) => DeliveryState::Other(Box::new(Value::Null)),
        state => state,
    }
}

pub(super) fn unattached(remote: u32) -> Violation {
    let what = format!("it uses handle {remote}, which is not attached");
    Violation::new(condition::UNATTACHED_HANDLE, what)
}
