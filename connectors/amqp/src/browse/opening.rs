//! From a plan to a walk: connecting, attaching, and knowing what the broker does before anything is taken.
//!
//! Invariants: each wait for the broker ends after [`PATIENCE`] without progress; whatever fails gives back what came.
//! Does not know: the walk itself (`walk`).

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use weft_amqp_wire::performative::DeliveryState;

use super::browser::QueueBrowser;
use super::drain::{Drain, Step};
use super::proof::{self, Proof};
use super::walk::{HELD_MAX, Kind, Walk};
use super::{CLOSE, PATIENCE};
use crate::client::terminus;
use crate::client::trouble::{self, Trouble};
use crate::client::wire::{Happened, Wire, WireSpec};
use crate::egress::Plan;

/// Messages of one step while they are only counted.
const COUNT: u32 = 512;
/// Bytes that may be on their way to us.
const INCOMING_BYTES: u64 = 1 << 20;

/// A message that came.
pub(super) struct Delivered {
    /// Its number; none where it came settled.
    pub(super) delivery: Option<u32>,
    /// None where it is too large to be put together.
    pub(super) payload: Option<Bytes>,
}

/// A connection that is not put to use yet.
pub(super) struct Opening {
    pub(super) plan: Arc<Plan>,
    pub(super) address: String,
    pub(super) at: String,
    pub(super) wire: Wire,
    links: usize,
}

impl Opening {
    /// Connects, as a container of its own.
    ///
    /// # Errors
    /// Whose fault it is, in one line.
    pub(super) async fn connect(plan: Arc<Plan>, address: &str) -> Result<Opening, Trouble> {
        Ok(Opening {
            at: plan.endpoint.dialer.address().to_string(),
            address: address.to_owned(),
            wire: connect(&plan).await?,
            plan,
            links: 0,
        })
    }

    /// A browser that looks, and passes over the first messages.
    ///
    /// # Errors
    /// The broker refuses, or does not copy.
    pub(super) async fn look(mut self, skip: u64) -> Result<QueueBrowser, Trouble> {
        let (token, first, most) = match proof::of(&mut self).await {
            Ok(Proof::Copies { token, first }) => (token, Some(first), u64::MAX),
            Ok(Proof::Empty { token }) => (token, None, 0),
            Ok(Proof::Takes(why)) | Err(why) => return Err(self.give_up(why).await),
        };
        let walk = Walk::new(self, token, Kind::Look { skip }, most);
        Ok(QueueBrowser::start(walk, first))
    }

    /// A browser that takes out as many as there are now.
    ///
    /// # Errors
    /// The broker refuses.
    pub(super) async fn take(mut self) -> Result<QueueBrowser, Trouble> {
        let (token, count) = match self.taking().await {
            Ok(taking) => taking,
            Err(why) => return Err(self.give_up(why).await),
        };
        Ok(QueueBrowser::start(
            Walk::new(self, token, Kind::Take, count),
            None,
        ))
    }

    /// Counts what is there, and attaches to take it: by looking, or, where that cannot be, by taking all of it and giving it
    /// back before the caller sees the first. The count bounds what is taken, so that a letter that comes back to the end of
    /// the queue is not met again. Turned down: to take until nothing is left, which need not end.
    async fn taking(&mut self) -> Result<(usize, u64), Trouble> {
        if let Some(why) = proof::cannot_drain(self) {
            return Err(why);
        }
        let (token, known) = match proof::of(self).await? {
            Proof::Copies { token, .. } => (token, 1),
            Proof::Empty { .. } => return Ok((self.attach(false).await??, 0)),
            Proof::Takes(_) => {
                // On a connection of its own, whose end gives everything back.
                self.again().await?;
                (self.attach(false).await??, 0)
            }
        };
        let copies = self.wire.copies(token);
        let mut count = known;
        loop {
            let came = self.step(token, COUNT, |wire, came| {
                if copies {
                    release(wire, came.delivery);
                }
            });
            let came = u64::from(came.await?);
            count += came;
            if came == 0 || count >= HELD_MAX {
                break;
            }
        }
        match copies {
            true => self.wire.detach(token),
            false => self.again().await?,
        }
        Ok((self.attach(false).await??, count.min(HELD_MAX)))
    }

    /// Ends the connection well, and makes another.
    async fn again(&mut self) -> Result<(), Trouble> {
        self.wire.part(CLOSE).await?;
        self.wire = connect(&self.plan).await?;
        self.links = 0;
        Ok(())
    }

    /// Ends it: what came goes back.
    async fn give_up(mut self, why: Trouble) -> Trouble {
        self.wire.close().await;
        why
    }

    /// Asks for a link that copies, or takes out; its token, or why it is refused.
    ///
    /// # Errors
    /// The connection is gone, or the broker does not answer.
    pub(super) async fn attach(&mut self, copy: bool) -> Result<Result<usize, Trouble>, Trouble> {
        let token = self.links;
        self.links += 1;
        let receiver = terminus::browser(&self.plan.name, &self.address, copy, token);
        self.wire.receiver(token, &receiver);
        let until = Instant::now() + PATIENCE;
        loop {
            while let Some(happened) = self.wire.next() {
                match happened {
                    Happened::Attached { token: this, .. } if this == token => {
                        if !copy && self.wire.sends_settled(token) {
                            return Ok(Err(self.sends_settled()));
                        }
                        return Ok(Ok(token));
                    }
                    Happened::Detached { token: this, error } if this == token => {
                        return Ok(Err(trouble::link(&self.at, &self.address, error.as_deref())));
                    }
                    _ => {}
                }
            }
            if Instant::now() >= until {
                return Err(silent(&self.at, &self.address));
            }
            self.moves(until).await?;
        }
    }

    fn sends_settled(&self) -> Trouble {
        Trouble::misconfigured(format!(
            "{}: `{}`: the broker sends messages settled, so that what stays would be lost; nothing was taken; let it send \
             unsettled (`snd-settle-mode`)",
            self.at, self.address
        ))
    }

    /// One step of a link: how many messages came.
    ///
    /// # Errors
    /// The connection or the link is gone, or the broker makes no progress.
    pub(super) async fn step(
        &mut self,
        token: usize,
        most: u32,
        mut each: impl FnMut(&mut Wire, Delivered) + Send,
    ) -> Result<u32, Trouble> {
        let mut drain = Drain::new(token);
        drain.begin(&mut self.wire, most);
        loop {
            while let Some(happened) = self.wire.next() {
                let came = match happened {
                    Happened::Delivery {
                        token: this,
                        delivery,
                        payload,
                    } if this == token => Delivered {
                        delivery,
                        payload: Some(payload),
                    },
                    Happened::TooLarge {
                        token: this,
                        delivery,
                    } if this == token => Delivered {
                        delivery,
                        payload: None,
                    },
                    Happened::Detached { token: this, error } if this == token => {
                        return Err(trouble::link(&self.at, &self.address, error.as_deref()));
                    }
                    Happened::Credit { token: this } if this == token => {
                        drain.gave_back();
                        continue;
                    }
                    _ => continue,
                };
                drain.came();
                each(&mut self.wire, came);
            }
            let until = match drain.look(&mut self.wire) {
                Step::Over(came) => return Ok(came),
                Step::Idle => return Ok(0),
                Step::Stuck => return Err(silent(&self.at, &self.address)),
                Step::Waits(until) => until,
            };
            self.moves(until).await?;
        }
    }

    async fn moves(&mut self, until: Instant) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            moved = self.wire.io() => moved,
            () = tokio::time::sleep_until(until) => Ok(()),
        }
    }
}

/// A message that was looked at is done with; to a broker that copies it says nothing.
pub(super) fn release(wire: &mut Wire, delivery: Option<u32>) {
    if let Some(delivery) = delivery {
        wire.settle(delivery, delivery, DeliveryState::Released);
    }
}

/// The broker makes no progress.
pub(super) fn silent(at: &str, address: &str) -> Trouble {
    Trouble::unavailable(format!(
        "{at}: `{address}`: the broker does not answer within {PATIENCE:?}; is it overloaded?"
    ))
}

async fn connect(plan: &Plan) -> Result<Wire, Trouble> {
    let mut endpoint = plan.endpoint.clone();
    // Several may look at a time, from several routers.
    let own = uuid::Uuid::new_v4().simple();
    endpoint.container_id = format!("{}.browse-{own}", endpoint.container_id);
    let spec = WireSpec {
        incoming_bytes: INCOMING_BYTES,
        message_max: plan.back_max,
    };
    Wire::connect(&endpoint, &spec).await
}
