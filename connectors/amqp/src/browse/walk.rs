//! The task of a browser: its connection, step by step through the queue, whether anybody waits for it or not.
//!
//! Invariants
//! - A step is begun only while little waits to be returned; the session's window is held while too many bytes do.
//! - A look gives each message back at once, which a broker that copies does not mind; a take keeps each until it is removed
//!   or the walk ends.
//! - A take of more than [`HELD_MAX`] messages that are not removed fails: neither side keeps books without bound.
//!
//! Does not know: what a message means (`mapping`), what the broker does (`proof`).

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::Instant;
use weft_api::browse::{BrowseError, Held};

use super::browser::{Came, Said};
use super::drain::{Drain, Step};
use super::opening::{Delivered, Opening, release, silent};
use super::pile::Pile;
use super::{CLOSE, arrival};
use crate::client::trouble;
use crate::client::wire::{Happened, Wire};
use crate::mapping::ingress::Mapper;

/// Most messages of one step.
const STEP: u32 = 64;
/// Messages and bytes that may wait to be returned when a step is begun.
const WAITING: (usize, usize) = (512, 1 << 20);
/// Most messages that a take holds unremoved.
pub(super) const HELD_MAX: u64 = 1 << 20;

/// What is done with messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// They are looked at, from this place on.
    Look { skip: u64 },
    /// They are taken out.
    Take,
}

/// See the module.
pub(super) struct Walk {
    wire: Wire,
    drain: Drain,
    kind: Kind,
    mapper: Mapper,
    pile: Pile,
    at: String,
    address: String,
    /// Bytes that may wait before the window is held.
    hold: usize,
    holding: bool,
    /// How many more may come.
    left: u64,
    /// The place of the next message.
    place: u64,
    /// What waits to be returned: messages and bytes.
    waiting: (usize, usize),
    /// Nothing more comes.
    ended: bool,
    /// The connection is gone.
    lost: Option<BrowseError>,
}

impl Walk {
    pub(super) fn new(opening: Opening, token: usize, kind: Kind, left: u64) -> Walk {
        let plan = &opening.plan;
        Walk {
            drain: Drain::new(token),
            kind,
            mapper: Mapper::new(plan.back.clone()),
            pile: Pile::default(),
            hold: usize::try_from(plan.client_memory / 2).unwrap_or(usize::MAX),
            holding: false,
            left,
            place: 0,
            waiting: (0, 0),
            ended: false,
            lost: None,
            at: opening.at,
            address: opening.address,
            wire: opening.wire,
        }
    }

    /// Runs until it is closed, or nobody holds the browser any more.
    pub(super) async fn run(
        mut self,
        brings: UnboundedSender<Came>,
        mut said: UnboundedReceiver<Said>,
        first: Option<Delivered>,
    ) {
        if let Some(first) = first {
            self.came(&brings, first);
        }
        loop {
            let until = self.round(&brings);
            let lost = self.lost.is_some();
            let heard = tokio::select! {
                biased;
                heard = said.recv() => heard,
                moved = self.wire.io(), if !lost => {
                    if let Err(trouble) = moved {
                        self.lose(&brings, trouble.text);
                    }
                    continue;
                }
                () = at(until) => continue,
            };
            let mut heard = heard;
            loop {
                match heard {
                    Some(Said::Returned(count, bytes)) => {
                        self.waiting.0 = self.waiting.0.saturating_sub(count);
                        self.waiting.1 = self.waiting.1.saturating_sub(bytes);
                    }
                    Some(Said::Remove(place)) => self.pile.remove(&mut self.wire, place),
                    Some(Said::Close(answer)) => return self.close(answer).await,
                    None => {
                        self.pile.release(&mut self.wire);
                        return self.wire.close().await;
                    }
                }
                match said.try_recv() {
                    Ok(next) => heard = Some(next),
                    Err(_) => break,
                }
            }
        }
    }

    /// Everything that can be done without waiting. When to look again at the latest.
    fn round(&mut self, brings: &UnboundedSender<Came>) -> Option<Instant> {
        while let Some(happened) = self.wire.next() {
            self.happened(brings, happened);
        }
        self.pile.flush(&mut self.wire);
        if self.lost.is_some() {
            return None;
        }
        self.held_back();
        match self.drain.look(&mut self.wire) {
            Step::Over(came) => {
                self.pile.answered();
                if came == 0 {
                    self.end(brings);
                }
                self.begin(brings)
            }
            Step::Idle => self.begin(brings),
            Step::Stuck => {
                let why = silent(&self.at, &self.address).text;
                self.lose(brings, why);
                None
            }
            Step::Waits(until) => Some(until),
        }
    }

    /// Stops the session's window while too many bytes wait. Credit counts messages; this counts what they weigh.
    fn held_back(&mut self) {
        let waiting = self.waiting.1;
        if !self.holding && waiting > self.hold || self.holding && waiting <= self.hold / 2 {
            self.holding = !self.holding;
            self.wire.hold(self.holding);
        }
        if self.holding {
            // It is our turn, not the broker's.
            self.drain.moved();
        }
    }

    /// Begins a step, if one is due.
    fn begin(&mut self, brings: &UnboundedSender<Came>) -> Option<Instant> {
        if self.ended || self.waiting.0 >= WAITING.0 || self.waiting.1 >= WAITING.1 {
            return None;
        }
        if self.left == 0 {
            self.end(brings);
            return None;
        }
        if self.pile.held() >= HELD_MAX {
            let why = format!(
                "amqp `{}`: {HELD_MAX} messages are held for this and not removed, which is the most; choose fewer",
                self.address
            );
            self.fail(brings, BrowseError(why));
            return None;
        }
        let most = u32::try_from(self.left).unwrap_or(STEP).min(STEP);
        self.pile.asks();
        self.drain.begin(&mut self.wire, most);
        match self.drain.look(&mut self.wire) {
            Step::Waits(until) => Some(until),
            // The link is gone, which an event tells.
            Step::Idle | Step::Over(_) | Step::Stuck => None,
        }
    }

    fn happened(&mut self, brings: &UnboundedSender<Came>, happened: Happened) {
        let came = match happened {
            Happened::Delivery {
                token,
                delivery,
                payload,
            } if token == self.drain.token => Delivered {
                delivery,
                payload: Some(payload),
            },
            Happened::TooLarge { token, delivery } if token == self.drain.token => Delivered {
                delivery,
                payload: None,
            },
            Happened::Detached { token, error } if token == self.drain.token => {
                let why = trouble::link(&self.at, &self.address, error.as_deref()).text;
                return self.lose(brings, why);
            }
            Happened::Credit { token } if token == self.drain.token => return self.drain.gave_back(),
            _ => return,
        };
        self.drain.came();
        self.came(brings, came);
    }

    fn came(&mut self, brings: &UnboundedSender<Came>, came: Delivered) {
        let place = self.place;
        self.place += 1;
        self.left = self.left.saturating_sub(1);
        match self.kind {
            Kind::Look { skip } => {
                release(&mut self.wire, came.delivery);
                if place < skip {
                    return;
                }
            }
            Kind::Take => {
                self.pile.came(came.delivery);
                if came.payload.is_none() {
                    // It cannot be passed on, so it must not leave.
                    return;
                }
            }
        }
        let size = came.payload.as_ref().map_or(0, bytes::Bytes::len);
        let held = match &came.payload {
            Some(payload) => Held {
                place,
                incoming: self.mapper.map(&self.address, payload),
                at_ms: arrival::of(payload),
            },
            None => Held {
                place,
                incoming: self.mapper.too_large(),
                at_ms: None,
            },
        };
        self.waiting.0 += 1;
        self.waiting.1 += size;
        let _ = brings.send(Came::Held(held, size));
    }

    fn end(&mut self, brings: &UnboundedSender<Came>) {
        if !std::mem::replace(&mut self.ended, true) {
            let _ = brings.send(Came::End);
        }
    }

    fn fail(&mut self, brings: &UnboundedSender<Came>, why: BrowseError) {
        if !std::mem::replace(&mut self.ended, true) {
            let _ = brings.send(Came::Failed(why));
        }
    }

    /// The connection or the link is gone; the broker has everything that was not removed.
    fn lose(&mut self, brings: &UnboundedSender<Came>, why: String) {
        let why = BrowseError(why);
        self.lost.get_or_insert_with(|| why.clone());
        self.fail(brings, why);
    }

    async fn close(mut self, answer: oneshot::Sender<Result<(), BrowseError>>) {
        self.pile.release(&mut self.wire);
        let parted = match self.lost.take() {
            Some(why) => {
                self.wire.close().await;
                Err(why)
            }
            None => self.wire.part(CLOSE).await.map_err(BrowseError::from),
        };
        // Without anything to be unsure of it has ended well: the rest was to stay.
        let ended = match (parted, self.pile.unsure()) {
            (Err(BrowseError(why)), unsure @ 1..) => Err(BrowseError(format!(
                "{why}; of what was to leave, up to {unsure} may be there still, and would come again"
            ))),
            _ => Ok(()),
        };
        let _ = answer.send(ended);
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
