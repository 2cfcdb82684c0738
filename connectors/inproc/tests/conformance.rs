//! The suite of every connector, run against the in-memory one.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use weft_api::egress::{Egress, EgressProfile};
use weft_api::event::Event;
use weft_api::ingress::{Ingress, Window};
use weft_api::outcome::{Outcome, Reason};
use weft_conformance::events::plain;
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape, TooLarge};
use weft_inproc::{Act, Feed, Happening, Hub, IngressOptions, Policy, Settling, Sink};

struct In {
    feed: Feed,
    settle: Settling,
    pushed: AtomicU64,
}

#[async_trait]
impl IngressSubject for In {
    fn name(&self) -> &'static str {
        match self.settle {
            Settling::InOrder => "inproc in order",
            Settling::Individual => "inproc one by one",
            Settling::Request => "inproc request",
        }
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        match (case, self.settle) {
            ("what_is_malformed_comes_with_its_bytes", _) => Some("it is given events, not bytes"),
            ("what_is_above_the_limit_is_no_event", _) => Some("it has no limit of its own"),
            ("a_killed_remote_loses_nothing" | "a_remote_that_is_away_at_the_start_is_waited_for", _) => {
                Some("its remote is the memory of this process")
            }
            (
                "what_was_released_in_the_middle_comes_again_and_nothing_before_it"
                | "a_full_window_opens_by_exactly_what_was_settled"
                | "no_more_bytes_are_taken_than_the_window_allows"
                | "a_cut_connection_loses_nothing"
                | "a_reconnect_repeats_only_what_was_not_acknowledged"
                | "a_stop_while_the_remote_is_away_returns_in_time",
                Settling::Request,
            ) => Some("each request is a client of its own, which sends again by itself"),
            _ => None,
        }
    }

    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress> {
        // A client of a request comes back after a day: the suite counts what it was told the first time.
        let redeliver_after = match self.settle {
            Settling::Request => Duration::from_secs(86_400),
            _ => Duration::from_millis(10),
        };
        let default = IngressOptions::default();
        self.feed.ingress(IngressOptions {
            settle: self.settle,
            redeliver_after,
            window: window.unwrap_or(default.window),
            ..default
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
        self.pushed.fetch_add(1, Ordering::Relaxed);
    }

    async fn acknowledged(&self) -> usize {
        self.count(|outcome| outcome == Outcome::Accepted)
    }

    async fn refused(&self) -> Option<usize> {
        Some(self.count(|outcome| matches!(outcome, Outcome::Rejected(_))))
    }

    async fn cut(&self) -> bool {
        self.hide().await;
        self.show().await;
        true
    }

    async fn hide(&self) -> bool {
        let revoked = |feed: &Feed| {
            let all = feed.history();
            all.iter()
                .filter(|entry| entry.what == Happening::Revoked)
                .count()
        };
        let before = revoked(&self.feed);
        self.feed.revoke(0);
        self.feed.until(|feed| revoked(feed) > before).await;
        true
    }

    async fn show(&self) {
        self.feed.assign(0);
    }

    fn keeps_types(&self) -> bool {
        true
    }

    fn data_max(&self) -> usize {
        1 << 20
    }

    fn event_max(&self) -> usize {
        usize::MAX
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Refused
    }
}

impl In {
    fn count(&self, which: impl Fn(Outcome) -> bool) -> usize {
        (0..self.pushed.load(Ordering::Relaxed))
            .filter(|offset| self.feed.outcome(0, *offset).is_some_and(&which))
            .count()
    }
}

struct Out {
    sink: Sink,
    ordered: bool,
}

#[async_trait]
impl EgressSubject for Out {
    fn name(&self) -> &'static str {
        if self.ordered {
            "inproc ordered"
        } else {
            "inproc unordered"
        }
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        match case {
            "what_is_above_the_limit_is_the_events_fault" => Some("it takes any size"),
            "a_cut_in_mid_flight_loses_nothing_and_keeps_the_order"
            | "a_killed_remote_has_all_that_was_confirmed" => {
                Some("its remote is the memory of this process")
            }
            _ => None,
        }
    }

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
            Remote::Slow => {
                let answer = Act::Accept.after(Duration::from_millis(200));
                self.sink.answer_with(Policy::always(answer));
                return true;
            }
            Remote::Refuses => Act::Reject,
            Remote::Fails => Act::Fail,
            Remote::Overloaded => down(Reason::Overloaded),
            Remote::Unauthorised => down(Reason::Unauthorised),
            Remote::Missing => down(Reason::Misconfigured),
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

    async fn poison(&self, id: &str) -> Option<Event> {
        let poison = id.to_owned();
        let refuse = move |event: &Event| match event.id() == poison {
            true => Act::Reject.into(),
            false => Act::Accept.into(),
        };
        self.sink.answer_with(Policy::new(refuse));
        Some(plain(id))
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
        pushed: AtomicU64::new(0),
    }
}

async fn egress(ordered: bool) -> Out {
    Out {
        sink: Hub::new().sink("out"),
        ordered,
    }
}

mod in_order {
    weft_conformance::ingress_suite!(|_| super::ingress(weft_inproc::Settling::InOrder));
}

mod individual {
    weft_conformance::ingress_suite!(|_| super::ingress(weft_inproc::Settling::Individual));
}

mod request {
    weft_conformance::ingress_suite!(|_| super::ingress(weft_inproc::Settling::Request));
}

mod unordered {
    weft_conformance::egress_suite!(|_| super::egress(false));
}

mod ordered {
    weft_conformance::egress_suite!(|_| super::egress(true));
}
