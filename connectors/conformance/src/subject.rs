//! What a connector gives to the suite: its two roles, built against a remote that the test can look into.
//!
//! Must not know: the cases.

use async_trait::async_trait;
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::Ingress;

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

/// An ingress and the remote that it takes from. Each subject is fresh: nobody else uses its address.
#[async_trait]
pub trait IngressSubject: Send + Sync {
    /// The ingress, in its first or a further life, over the same address.
    fn ingress(&self) -> Box<dyn Ingress>;

    /// How it settles.
    fn shape(&self) -> Shape;

    /// Sends a message as a client of the remote does, CloudEvents as this connector carries them; the remote has it when
    /// this returns. A request is under way then, and its answer is waited for elsewhere.
    async fn inject(&self, event: &Event);

    /// How many of the injected messages are positively acknowledged now, in the remote's own terms (offsets committed,
    /// deliveries accepted, requests answered with success).
    async fn acknowledged(&self) -> usize;

    /// Cuts every connection between the ingress and the remote; the ingress may come back. `false`: there is none to
    /// cut, and the case is left out.
    async fn cut(&self) -> bool {
        false
    }

    /// Whether extensions keep their CloudEvents types on this way in, and absent data is told from empty data.
    fn keeps_types(&self) -> bool;

    /// The largest data that must pass; at least 64 KiB (C35).
    fn data_max(&self) -> usize;
}

/// How a remote behaves that events are delivered to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remote {
    /// Takes and confirms.
    Accepts,
    /// Refuses every event for good.
    Refuses,
    /// Fails on every event, maybe not the next time.
    Fails,
    /// Asks to come back later.
    Overloaded,
    /// Takes the bytes and never answers.
    Silent,
    /// Is not there: nobody listens.
    Gone,
}

/// An egress and the remote that it delivers to. Each subject is fresh.
#[async_trait]
pub trait EgressSubject: Send + Sync {
    /// The egress, with a time-out of a second or less.
    fn egress(&self) -> Box<dyn Egress>;

    /// Makes the remote behave so from now on. `false`: this remote cannot, and the case is left out.
    async fn set(&self, remote: Remote) -> bool;

    /// Everything that the remote has taken, in its order; repeats stand there as often as they came.
    async fn received(&self) -> Vec<Event>;

    /// Whether extensions keep their CloudEvents types on this way out, and absent data is told from empty data.
    fn keeps_types(&self) -> bool;

    /// The largest data that must pass; at least 64 KiB (C35).
    fn data_max(&self) -> usize;
}
