//! The suite of every connector, run against the in-memory one.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use async_trait::async_trait;
use weft_api::egress::{Egress, EgressProfile};
use weft_api::event::Event;
use weft_api::ingress::Ingress;
use weft_api::outcome::{Outcome, Reason};
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape};
use weft_inproc::{Act, Feed, Hub, IngressOptions, Policy, Settling, Sink};

struct In {
    feed: Feed,
    settle: Settling,
}

#[async_trait]
impl IngressSubject for In {
    fn ingress(&self) -> Box<dyn Ingress> {
        // A client of a request comes back after a day: the suite counts what it was told the first time.
        let redeliver_after = match self.settle {
            Settling::Request => Duration::from_secs(86_400),
            _ => Duration::from_millis(10),
        };
        self.feed.ingress(IngressOptions {
            settle: self.settle,
            redeliver_after,
            ..IngressOptions::default()
        })
    }

    fn shape(&self) -> Shape {
        match self.settle {
            Settling::InOrder => Shape::InOrder,
            Settling::Individual => Shape::Individual,
            Settling::Request => Shape::Request,
        }
    }

    async fn inject(&self, event: &Event) {
        self.feed.push(0, event.clone());
    }

    async fn acknowledged(&self) -> usize {
        let all = self.feed.history().len() as u64;
        (0..all)
            .filter(|offset| self.feed.outcome(0, *offset) == Some(Outcome::Accepted))
            .count()
    }

    async fn cut(&self) -> bool {
        if self.settle == Settling::Request {
            return false;
        }
        self.feed.revoke(0);
        tokio::task::yield_now().await;
        self.feed.assign(0);
        true
    }

    fn keeps_types(&self) -> bool {
        true
    }

    fn data_max(&self) -> usize {
        1 << 20
    }
}

struct Out {
    sink: Sink,
    ordered: bool,
}

#[async_trait]
impl EgressSubject for Out {
    fn egress(&self) -> Box<dyn Egress> {
        let keeps_order_or_fails = self.ordered;
        let profile = EgressProfile {
            batch_events: 16,
            batch_bytes: 4 << 20,
            in_flight: 64,
            keeps_order_or_fails,
        };
        self.sink.egress(profile, false)
    }

    async fn set(&self, remote: Remote) -> bool {
        let down = |reason| Act::Down {
            reason,
            retry_after: Some(Duration::from_secs(1)),
        };
        let act = match remote {
            Remote::Accepts => Act::Accept,
            Remote::Refuses => Act::Reject,
            Remote::Fails => Act::Fail,
            Remote::Overloaded => down(Reason::Overloaded),
            Remote::Gone => down(Reason::Unavailable),
            Remote::Silent => {
                let answer = Act::Timeout { delivered: true }.after(Duration::from_secs(1));
                self.sink.answer_with(Policy::always(answer));
                return true;
            }
        };
        self.sink.answer_with(Policy::always(act));
        true
    }

    async fn received(&self) -> Vec<Event> {
        self.sink
            .deliveries()
            .into_iter()
            .map(|delivery| delivery.event)
            .collect()
    }

    fn keeps_types(&self) -> bool {
        true
    }

    fn data_max(&self) -> usize {
        1 << 20
    }
}

async fn ingress(settle: Settling) -> In {
    In {
        feed: Hub::new().feed("in"),
        settle,
    }
}

async fn egress(ordered: bool) -> Out {
    Out {
        sink: Hub::new().sink("out"),
        ordered,
    }
}

mod in_order {
    weft_conformance::ingress_suite!(super::ingress(weft_inproc::Settling::InOrder));
}

mod individual {
    weft_conformance::ingress_suite!(super::ingress(weft_inproc::Settling::Individual));
}

mod request {
    weft_conformance::ingress_suite!(super::ingress(weft_inproc::Settling::Request));
}

mod unordered {
    weft_conformance::egress_suite!(super::egress(false));
}

mod ordered {
    weft_conformance::egress_suite!(super::egress(true));
}
