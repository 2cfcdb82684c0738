//! What a connector gives to the suite: its two roles, built against a remote that the test can look into and hurt.
//!
//! Invariant: a method that answers `false` or `None` ("this remote cannot") needs a waiver for the cases that ask for
//! it; without one the case fails. Nothing is left out in silence.
//! Must not know: the cases.

use async_trait::async_trait;
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::{Ingress, Window};

/// How an ingress settles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A contiguous prefix; what is released comes again because the lane rewinds.
    InOrder,
    /// One by one; what is released comes again by itself.
    Individual,
    /// An answer to each request; what is released is the client's to send again.
    Request,
}

/// What becomes of a message that is larger than `limits.event`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooLarge {
    /// It comes in as malformed, and the reason names the limit.
    Malformed,
    /// The remote is told that it is refused for good ([`IngressSubject::refused`] counts it); nothing comes in.
    Refused,
    /// The remote keeps it back, or loses it, since it was told the limit beforehand; nothing comes in.
    Withheld,
}

/// An ingress and the remote that it takes from. Each subject is fresh: nobody else uses its address.
#[async_trait]
pub trait IngressSubject: Send + Sync {
    /// Its column in `docs/connectors/conformance.md`.
    fn name(&self) -> &'static str;

    /// Why this subject is let off a case; such a case says so and passes. The reason stands in the docs word for word.
    fn waives(&self, _case: &str) -> Option<&'static str> {
        None
    }

    /// The ingress, in its first or a further life, over the same address. It is built with this window, or, without
    /// one, with its own default.
    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress>;

    /// How it settles.
    fn shape(&self) -> Shape;

    /// Sends a message as a client of the remote does, CloudEvents as this connector carries them; the remote has it when
    /// this returns. A request is under way then, and its answer is waited for elsewhere; one that finds nobody
    /// listening is not acknowledged, and no panic.
    async fn inject(&self, event: &Event);

    /// Sends many, in order. Requests: the suite takes them in meanwhile, so this may wait for answers, and a bounded
    /// number of connections is enough.
    async fn inject_all(&self, events: &[Event]) {
        for event in events {
            self.inject(event).await;
        }
    }

    /// Sends a message that says it is a CloudEvent and is none (an attribute that breaks a rule, say), with this body.
    async fn inject_malformed(&self, _body: &[u8]) -> bool {
        false
    }

    /// How many of the injected messages are positively acknowledged now, in the remote's own terms (offsets committed,
    /// deliveries accepted, publishes acknowledged, requests answered with success).
    async fn acknowledged(&self) -> usize;

    /// How many are refused for good now, in the remote's own terms (deliveries rejected, requests answered with a 4xx
    /// that says so). `None`: the protocol has no such word, and a refusal that the user wrote to be dropped is
    /// acknowledged like any other message.
    async fn refused(&self) -> Option<usize> {
        None
    }

    /// Cuts every connection between the ingress and the remote; the ingress may come back at once.
    async fn cut(&self) -> bool {
        false
    }

    /// Makes the remote unreachable for the ingress: connections are cut, new ones refused, until [`Self::show`].
    /// `inject` and `acknowledged` are not called meanwhile.
    async fn hide(&self) -> bool {
        self.kill().await
    }

    /// Ends [`Self::hide`]; the remote serves when this returns.
    async fn show(&self) {
        self.restart().await;
    }

    /// Kills the remote with SIGKILL, unannounced.
    async fn kill(&self) -> bool {
        false
    }

    /// Starts it again at the same address with what it had kept; it serves when this returns.
    async fn restart(&self) {}

    /// Whether extensions keep their CloudEvents types on this way in, and absent data is told from empty data.
    fn keeps_types(&self) -> bool;

    /// The largest data that must pass; at least 64 KiB (C35).
    fn data_max(&self) -> usize;

    /// The `limits.event` that the ingress is built with.
    fn event_max(&self) -> usize;

    /// What becomes of a message above it.
    fn too_large(&self) -> TooLarge;
}

/// How a remote behaves that events are delivered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remote {
    /// Takes and confirms.
    Accepts,
    /// Takes and confirms, but later: by a good part of the egress' time-out, and well within it.
    Slow,
    /// Refuses every event for good.
    Refuses,
    /// Fails on every event, maybe not the next time.
    Fails,
    /// Asks to come back later.
    Overloaded,
    /// Refuses our credentials, or does not let us write.
    Unauthorised,
    /// Does not have what the configuration names.
    Missing,
    /// Takes the bytes and never answers.
    Silent,
    /// Is not there: nobody listens.
    Gone,
}

/// An egress and the remote that it delivers to. Each subject is fresh.
#[async_trait]
pub trait EgressSubject: Send + Sync {
    /// Its column in `docs/connectors/conformance.md`.
    fn name(&self) -> &'static str;

    /// Why this subject is let off a case; such a case says so and passes. The reason stands in the docs word for word.
    fn waives(&self, _case: &str) -> Option<&'static str> {
        None
    }

    /// The egress, with a time-out of a second or less.
    fn egress(&self) -> Box<dyn Egress>;

    /// Makes the remote behave so from now on; called before the egress is made, and while it runs.
    async fn set(&self, remote: Remote) -> bool;

    /// Everything that the remote has taken, in its order; repeats stand there as often as they came.
    async fn received(&self) -> Vec<Event>;

    /// An event with this id that will never be taken, alone among others (the remote's rules, its size, an address that
    /// its template makes).
    async fn poison(&self, _id: &str) -> Option<Event> {
        None
    }

    /// From now on an event with more bytes of data than the answer is too large, for the remote or for the egress; and
    /// how the error names that limit (the number, or the setting where nobody tells the number).
    async fn limit(&self) -> Option<(usize, String)> {
        None
    }

    /// The most events that were at the remote at one time without its answer, where the remote can count them.
    async fn most_unanswered(&self) -> Option<usize> {
        None
    }

    /// Cuts every connection between the egress and the remote; the egress may come back at once.
    async fn cut(&self) -> bool {
        false
    }

    /// Kills the remote with SIGKILL, unannounced.
    async fn kill(&self) -> bool {
        false
    }

    /// Starts it again at the same address with what it had kept; it serves when this returns.
    async fn restart(&self) {}

    /// Whether extensions keep their CloudEvents types on this way out, and absent data is told from empty data.
    fn keeps_types(&self) -> bool;

    /// The largest data that must pass; at least 64 KiB (C35).
    fn data_max(&self) -> usize;
}
