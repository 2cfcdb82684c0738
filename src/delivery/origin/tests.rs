#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use weft_api::outcome::{Outcome, Reason};

use crate::delivery::end::End;

use super::{Charge, LanePort, LastResort, Port, Settled, Ticket};
use crate::metrics::Metrics;

#[derive(Default)]
struct Purse(AtomicU64);

impl Charge for Purse {
    fn release(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::SeqCst);
    }
}

fn port(drop_rejected: bool) -> Arc<Port> {
    Arc::new(Port::new(
        "in".into(),
        Metrics::new().ingress("in"),
        drop_rejected,
    ))
}

fn ticket(legs: u32) -> (Arc<Ticket>, Arc<Purse>) {
    let purse = Arc::new(Purse::default());
    (
        Arc::new(Ticket::new(
            port(false),
            Arc::clone(&purse) as Arc<dyn Charge>,
            7,
            legs,
        )),
        purse,
    )
}

#[tokio::test]
async fn a_ticket_is_done_with_its_last_leg_and_tells_the_worst() {
    let (ticket, _) = ticket(2);
    let waiting = tokio::spawn({
        let ticket = Arc::clone(&ticket);
        async move { ticket.done().await }
    });
    tokio::task::yield_now().await;
    ticket.end(End::Returned(Outcome::Rejected(Reason::Refused)));
    assert!(!waiting.is_finished());
    ticket.end(End::Delivered);
    assert_eq!(
        waiting.await.unwrap(),
        (Outcome::Rejected(Reason::Refused), false)
    );
}

/// C8: "not taken" is said only of an event that nobody has.
#[tokio::test]
async fn a_ticket_of_which_one_leg_was_delivered_is_never_released() {
    for (delivered, told) in [
        (true, Outcome::Unknown(Reason::Unavailable)),
        (false, Outcome::Released(Reason::Unavailable)),
    ] {
        let (ticket, _) = ticket(2);
        assert!(ticket.dispatch() && ticket.dispatch());
        if !delivered {
            ticket.recall();
        }
        ticket.recall();
        ticket.end(End::Delivered);
        ticket.end(End::Returned(Outcome::Released(Reason::Unavailable)));
        assert_eq!(ticket.done().await, (told, false));
    }
}

#[test]
fn a_ticket_gives_its_charge_back_once_when_nobody_holds_it_any_more() {
    let (ticket, purse) = ticket(1);
    let leg = Arc::clone(&ticket);
    ticket.close();
    drop(ticket);
    assert_eq!(purse.0.load(Ordering::SeqCst), 0, "a leg has it still");
    drop(leg);
    assert_eq!(purse.0.load(Ordering::SeqCst), 7);
}

#[test]
fn a_closed_ticket_dispatches_nothing_more_and_knows_what_may_have_arrived() {
    let (never, _) = ticket(1);
    assert!(!never.close());
    assert!(!never.dispatch());
    let (sent, _) = ticket(2);
    assert!(sent.dispatch());
    assert!(sent.close());
    assert!(!sent.dispatch());
    let (came_back, _) = ticket(1);
    assert!(came_back.dispatch());
    came_back.recall();
    assert!(!came_back.close(), "it was certainly not delivered");
}

#[test]
fn what_nobody_takes_depends_on_lane_and_rule() {
    for (in_order, drop_rejected, resort) in [
        (true, false, LastResort::Hold),
        (false, false, LastResort::Return),
        (true, true, LastResort::Drop),
        (false, true, LastResort::Drop),
    ] {
        let lane = LanePort::new(port(drop_rejected), "lane".into(), 0, 1, in_order);
        assert_eq!(lane.last_resort(), resort);
    }
}

#[test]
fn a_lane_is_held_as_long_as_one_leg_holds_it() {
    let port = port(false);
    let lane = LanePort::new(Arc::clone(&port), "lane".into(), 0, 1, true);
    lane.hold();
    lane.hold();
    lane.unhold();
    assert_eq!(port.metrics.books.held_lanes.get(), 1);
    lane.unhold();
    assert_eq!(port.metrics.books.held_lanes.get(), 0);
}

#[test]
fn a_mailbox_gives_everything_once_and_a_nudge_once() {
    let port = port(false);
    let mut cx = Context::from_waker(Waker::noop());
    let mut into = Vec::new();
    let claim = port.mailbox.claim();
    assert_eq!(port.mailbox.poll_take(claim, &mut into, &mut cx), Poll::Pending);
    let one = Settled {
        lane: 0,
        epoch: 1,
        seq: 2,
        outcome: Outcome::Accepted,
    };
    port.mailbox.push(&mut vec![one]);
    assert_eq!(port.mailbox.poll_take(claim, &mut into, &mut cx), Poll::Ready(()));
    assert_eq!(std::mem::take(&mut into), [one]);
    port.mailbox.nudge();
    assert_eq!(port.mailbox.poll_take(claim, &mut into, &mut cx), Poll::Ready(()));
    assert_eq!(port.mailbox.poll_take(claim, &mut into, &mut cx), Poll::Pending);
}

/// C5: what a hung client of the same ingress may still do.
#[test]
fn a_mailbox_is_emptied_by_its_last_claimant_only() {
    let port = port(false);
    let mut cx = Context::from_waker(Waker::noop());
    let mut into = Vec::new();
    let settled = |epoch| Settled {
        lane: 0,
        epoch,
        seq: 2,
        outcome: Outcome::Accepted,
    };
    let former = port.mailbox.claim();
    port.mailbox.push(&mut vec![settled(1)]);
    let present = port.mailbox.claim();
    assert_eq!(
        port.mailbox.poll_take(present, &mut into, &mut cx),
        Poll::Pending,
        "of a lane that is over"
    );
    port.mailbox.push(&mut vec![settled(2)]);
    assert_eq!(port.mailbox.poll_take(former, &mut into, &mut cx), Poll::Pending);
    assert_eq!(
        port.mailbox.poll_take(present, &mut into, &mut cx),
        Poll::Ready(())
    );
    assert_eq!(into, [settled(2)]);
}
