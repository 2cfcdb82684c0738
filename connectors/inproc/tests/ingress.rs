//! What the in-memory ingress does with what the router tells it.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::time::timeout;
use weft_api::event::{Event, EventBuilder};
use weft_api::ingress::Window;
use weft_api::outcome::{Outcome, Reason};
use weft_conformance::harness::IngressDesk;
use weft_inproc::{Crash, Feed, Happening, Hub, IngressOptions, Settling};

fn event(id: &str) -> Event {
    EventBuilder::new().id(id).source("/t").ty("t").build().unwrap()
}

fn start(settle: Settling, window: u32) -> (Feed, IngressDesk) {
    let feed = Hub::new().feed("in");
    let window = Window {
        events: window,
        bytes: 1 << 20,
    };
    let desk = IngressDesk::start(
        feed.ingress(IngressOptions {
            settle,
            window,
            ..IngressOptions::default()
        }),
        None,
    );
    (feed, desk)
}

async fn id(desk: &IngressDesk) -> String {
    desk.next().await.incoming.event.id().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_rewind_delivers_again_from_the_watermark_and_nothing_before_it() {
    let (feed, desk) = start(Settling::InOrder, 10);
    for number in 0..4 {
        feed.push(0, event(&number.to_string()));
    }
    let first = desk.next().await;
    let second = desk.next().await;
    assert_eq!(
        (id(&desk).await, id(&desk).await),
        ("2".to_owned(), "3".to_owned())
    );
    desk.settle(first, Outcome::Accepted);
    desk.settle(second, Outcome::Released(Reason::Unavailable));
    assert_eq!(
        desk.accept(3)
            .await
            .iter()
            .map(|incoming| incoming.event.id())
            .collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    feed.settled().await;
    assert_eq!((feed.committed(0), feed.rewinds(), feed.duplicates()), (4, 1, 3));
    assert_eq!(feed.violations(), [""; 0]);
    desk.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_more_is_delivered_than_there_is_credit() {
    let (feed, desk) = start(Settling::InOrder, 3);
    for number in 0..10 {
        feed.push(0, event(&number.to_string()));
    }
    let held = [desk.next().await, desk.next().await, desk.next().await];
    assert!(
        timeout(Duration::from_secs(5), desk.next()).await.is_err(),
        "the window is three"
    );
    for admitted in held {
        desk.settle(admitted, Outcome::Accepted);
    }
    desk.accept(7).await;
    feed.settled().await;
    assert_eq!(desk.overdelivered(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_given_back_starts_at_what_is_committed() {
    let (feed, desk) = start(Settling::InOrder, 10);
    (0..3).for_each(|number| _ = feed.push(0, event(&number.to_string())));
    desk.accept(1).await;
    feed.until(|feed| feed.committed(0) == 1).await;
    feed.revoke(0);
    feed.until(|feed| {
        feed.history()
            .iter()
            .any(|entry| entry.what == Happening::Revoked)
    })
    .await;
    assert_eq!(desk.open_lanes(), 0);
    while desk.try_next().await.is_some() {}
    feed.assign(0);
    assert_eq!(desk.accept(2).await[0].event.id(), "1");
    feed.settled().await;
    assert_eq!(feed.violations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_released_message_of_a_queue_comes_again_and_delays_no_other() {
    let (feed, desk) = start(Settling::Individual, 10);
    (0..2).for_each(|number| _ = feed.push(0, event(&number.to_string())));
    let first = desk.next().await;
    desk.settle(first, Outcome::Released(Reason::Overloaded));
    assert_eq!(id(&desk).await, "1");
    let again = desk.next().await;
    assert_eq!(again.incoming.event.id(), "0");
    desk.settle(again, Outcome::Rejected(Reason::Refused));
    feed.until(|feed| feed.outcome(0, 0) == Some(Outcome::Rejected(Reason::Refused)))
        .await;
    assert_eq!((feed.unsettled(), feed.duplicates()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_an_answer_sends_again_and_one_that_was_answered_does_not() {
    let (feed, desk) = start(Settling::Request, 10);
    feed.hang_up_after(Some(Duration::from_millis(50)));
    feed.push(0, event("a"));
    let unanswered = desk.next().await;
    feed.until(|feed| {
        feed.history()
            .iter()
            .any(|entry| entry.what == Happening::HungUp { offset: 0 })
    })
    .await;
    feed.hang_up_after(None);
    desk.settle(unanswered, Outcome::Accepted);
    desk.accept(1).await;
    feed.settled().await;
    assert_eq!(feed.duplicates(), 1);
    assert!(timeout(Duration::from_secs(60), desk.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_one_life_and_the_next_begins_where_nothing_is_lost() {
    let (feed, desk) = start(Settling::InOrder, 10);
    (0..3).for_each(|number| _ = feed.push(0, event(&number.to_string())));
    desk.accept(1).await;
    feed.until(|feed| feed.committed(0) == 1).await;
    feed.crash(Crash::Error);
    assert!(desk.close().await.is_err());
    let desk = IngressDesk::start(feed.ingress(IngressOptions::default()), None);
    assert_eq!(desk.accept(2).await[0].event.id(), "1");
    feed.settled().await;
}
