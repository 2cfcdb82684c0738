//! What brokers do to somebody who looks or takes, and a real one does not do at will: they lie about copies, fall silent in
//! the middle of a drain, take the link away, send too much, never agree to the end.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use serde_json::json;
use support::copier::*;
use support::fake::Fake;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weft_amqp_wire::condition;
use weft_amqp_wire::performative::*;
use weft_api::browse::{Browse, BrowseError, Browser};

type Opened = JoinHandle<Result<Box<dyn Browser>, BrowseError>>;

/// A broker of our own, and somebody who comes to it.
async fn listen() -> (TcpListener, Arc<dyn Browse>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let browse = support::browse(&json!({ "url": format!("amqp://127.0.0.1:{port}"), "address": "dead" }));
    (listener, browse)
}

fn looks(browse: &Arc<dyn Browse>) -> Opened {
    let browse = browse.clone();
    tokio::spawn(async move { browse.look(0).await })
}

fn takes(browse: &Arc<dyn Browse>) -> Opened {
    let browse = browse.clone();
    tokio::spawn(async move { browse.take().await })
}

async fn refused(opened: Opened) -> String {
    let why = within("refused", opened).await.unwrap().err().unwrap().0;
    assert!(why.contains("`dead`") && !why.contains('\n'), "{why}");
    why
}

async fn opened(opened: Opened) -> Box<dyn Browser> {
    within("opened", opened).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_broker_that_does_not_say_that_it_copies_gets_no_credit() {
    for mode in [None, MOVE] {
        let (listener, browse) = listen().await;
        let look = looks(&browse);
        let mut fake = welcome(&listener, None).await;
        attach(&mut fake, distribution::COPY, mode).await;
        assert_eq!(dispositions(&mut fake).await, []);
        let why = refused(look).await;
        assert!(
            why.contains("without taking them") && why.contains("nothing was taken"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn a_broker_that_says_so_and_takes_all_the_same_is_found_out_and_loses_nothing() {
    for second in [None, Some("second")] {
        let (listener, browse) = listen().await;
        let look = looks(&browse);
        let mut fake = welcome(&listener, None).await;
        let mut released = Vec::new();
        // Somebody else may have taken the first away, so it is asked again.
        for number in [0, 2, 4] {
            let one = attach(&mut fake, distribution::COPY, COPY).await;
            drains(&mut fake, one).await;
            sends(&mut fake, one, number, "first").await;
            let other = attach(&mut fake, distribution::COPY, COPY).await;
            let flow = drains(&mut fake, other).await;
            match second {
                Some(text) => sends(&mut fake, other, number + 1, text).await,
                None => nothing(&mut fake, &flow).await,
            }
            released.push(disposition(&mut fake).await);
            if second.is_some() {
                released.push(disposition(&mut fake).await);
            }
        }
        let expected: Vec<u32> = match second {
            Some(_) => (0..6).collect(),
            None => vec![0, 2, 4],
        };
        let expected: Vec<_> = expected
            .into_iter()
            .map(|number| (number, Some(DeliveryState::Released)))
            .collect();
        assert_eq!(released, expected);
        assert_eq!(dispositions(&mut fake).await, []);
        let why = refused(look).await;
        assert!(why.contains("without taking them"), "{why}");
    }
}

#[tokio::test]
async fn where_nothing_is_there_a_look_asks_for_no_more() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, None).await;
    let one = attach(&mut fake, distribution::COPY, COPY).await;
    let flow = drains(&mut fake, one).await;
    nothing(&mut fake, &flow).await;
    let mut browser = opened(look).await;
    assert!(within("the end", browser.next(10)).await.unwrap().is_empty());
    drop(browser);
    assert_eq!(dispositions(&mut fake).await, []);
}

#[tokio::test]
async fn without_copies_a_take_counts_by_taking_and_gives_all_back_first() {
    let (listener, browse) = listen().await;
    let take = takes(&browse);
    let mut fake = welcome(&listener, None).await;
    attach(&mut fake, distribution::COPY, None).await;
    assert_eq!(dispositions(&mut fake).await, []);
    // The count.
    let mut fake = welcome(&listener, None).await;
    let link = attach(&mut fake, distribution::MOVE, MOVE).await;
    let flow = drains(&mut fake, link).await;
    for number in 0..3 {
        sends(&mut fake, link, number, &number.to_string()).await;
    }
    gives_back(&mut fake, &flow).await;
    let flow = drains(&mut fake, link).await;
    nothing(&mut fake, &flow).await;
    assert_eq!(dispositions(&mut fake).await, []);
    // The take: no more than what was counted, however many there are now.
    let mut fake = welcome(&listener, None).await;
    let link = attach(&mut fake, distribution::MOVE, MOVE).await;
    let mut browser = opened(take).await;
    assert_eq!(drains(&mut fake, link).await.link_credit, Some(3));
    for number in 0..3 {
        sends(&mut fake, link, number, &number.to_string()).await;
    }
    let mut places = Vec::new();
    loop {
        let some = within("the next", browser.next(10)).await.unwrap();
        if some.is_empty() {
            break;
        }
        places.extend(some.iter().map(|held| held.place));
    }
    assert_eq!(places, [0, 1, 2]);
    browser.remove(1);
    let closing = tokio::spawn(browser.close());
    let said = dispositions(&mut fake).await;
    assert_eq!(
        said,
        [
            (1, DeliveryState::Accepted),
            (0, DeliveryState::Released),
            (2, DeliveryState::Released)
        ]
    );
    within("closed", closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_broker_that_would_send_settled_gets_no_credit() {
    let (listener, browse) = listen().await;
    let take = takes(&browse);
    let mut fake = welcome(&listener, None).await;
    let one = attach(&mut fake, distribution::COPY, COPY).await;
    let flow = drains(&mut fake, one).await;
    nothing(&mut fake, &flow).await;
    let Some(Performative::Attach(theirs)) = within("an attach", fake.until("attach")).await else {
        panic!("it is gone");
    };
    let mut answer = Attach::new(theirs.name.clone(), theirs.handle, Role::Sender);
    answer.source = theirs.source.clone();
    answer.snd_settle_mode = SenderSettleMode::Settled;
    answer.initial_delivery_count = Some(0);
    fake.say(&answer).await;
    assert_eq!(dispositions(&mut fake).await, []);
    let why = refused(take).await;
    assert!(why.contains("settled"), "{why}");
}

#[tokio::test]
async fn a_link_that_is_taken_away_in_a_drain_ends_it_after_what_had_come() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, None).await;
    let link = proves(&mut fake).await;
    let mut browser = opened(look).await;
    assert_eq!(drains(&mut fake, link).await.link_credit, Some(64));
    sends(&mut fake, link, 2, "second").await;
    fake.say(&Detach {
        handle: link,
        closed: true,
        error: Some(Box::new(Error::new(
            condition::RESOURCE_DELETED,
            "gone\nfor good",
        ))),
    })
    .await;
    let mut came = Vec::new();
    let why = loop {
        match within("the next", browser.next(10)).await {
            Ok(some) => came.extend(some),
            Err(why) => break why,
        }
    };
    let texts: Vec<_> = came
        .iter()
        .map(|held| held.incoming.event.data().unwrap().clone())
        .collect();
    assert_eq!(texts, ["first", "second"]);
    assert!(
        why.0.contains("gone for good") && why.0.contains("`dead`"),
        "{why}"
    );
    assert_eq!(browser.next(10).await.unwrap_err(), why);
    drop(browser);
    dispositions(&mut fake).await;
}

#[tokio::test]
async fn a_drain_that_is_never_answered_is_asked_again_and_then_given_up() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, None).await;
    let link = proves(&mut fake).await;
    let mut browser = opened(look).await;
    assert_eq!(within("the first", browser.next(10)).await.unwrap().len(), 1);
    let asked = drains(&mut fake, link).await;
    tokio::time::pause();
    let why = browser.next(10).await.unwrap_err();
    assert!(why.0.contains("does not answer"), "{why}");
    tokio::time::resume();
    let again = drains(&mut fake, link).await;
    assert_eq!(
        (asked.delivery_count, asked.link_credit),
        (again.delivery_count, again.link_credit)
    );
}

#[tokio::test]
async fn an_attach_that_is_never_answered_is_given_up() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, None).await;
    within("an attach", fake.until("attach")).await.unwrap();
    tokio::time::pause();
    let why = look.await.unwrap().err().unwrap().0;
    assert!(why.contains("does not answer"), "{why}");
}

#[tokio::test]
async fn more_than_was_asked_for_ends_the_connection() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, None).await;
    let link = attach(&mut fake, distribution::COPY, COPY).await;
    drains(&mut fake, link).await;
    for number in 0..2 {
        sends(&mut fake, link, number, "x").await;
    }
    let why = within("refused", look).await.unwrap().err().unwrap().0;
    assert!(
        why.contains("breaks the protocol") && why.contains("without credit"),
        "{why}"
    );
}

#[tokio::test]
async fn it_lives_while_nobody_asks() {
    let (listener, browse) = listen().await;
    let look = looks(&browse);
    let mut fake = welcome(&listener, Some(100)).await;
    let link = proves(&mut fake).await;
    let mut browser = opened(look).await;
    for _ in 0..5 {
        within("a sign of life", fake.beat()).await.unwrap();
    }
    // The drain that was asked for long ago is answered now.
    nothing(
        &mut fake,
        &Flow {
            handle: Some(link),
            delivery_count: Some(1),
            link_credit: Some(64),
            ..Flow::default()
        },
    )
    .await;
    assert_eq!(within("the first", browser.next(10)).await.unwrap().len(), 1);
    assert!(within("the end", browser.next(10)).await.unwrap().is_empty());
}

/// A take of two messages, of which the first was removed, and one more step was begun and not answered.
async fn takes_two(answered: bool) -> (Fake, Box<dyn Browser>) {
    let (listener, browse) = listen().await;
    let take = takes(&browse);
    let mut fake = welcome(&listener, None).await;
    let link = proves(&mut fake).await;
    let flow = drains(&mut fake, link).await;
    // Two more than those that come: the take goes on to look for them.
    for number in 2..5 {
        sends(&mut fake, link, number, "x").await;
    }
    gives_back(&mut fake, &flow).await;
    let flow = drains(&mut fake, link).await;
    nothing(&mut fake, &flow).await;
    let link = attach(&mut fake, distribution::MOVE, MOVE).await;
    let mut browser = opened(take).await;
    let flow = drains(&mut fake, link).await;
    assert_eq!(flow.link_credit, Some(4));
    sends(&mut fake, link, 10, "a").await;
    sends(&mut fake, link, 11, "b").await;
    let mut places = Vec::new();
    while places.len() < 2 {
        let some = within("the next", browser.next(10)).await.unwrap();
        places.extend(some.iter().map(|held| held.place));
    }
    browser.remove(0);
    assert_eq!(disposition(&mut fake).await, (10, Some(DeliveryState::Accepted)));
    gives_back(&mut fake, &flow).await;
    let flow = drains(&mut fake, link).await;
    assert_eq!(flow.link_credit, Some(2));
    if answered {
        nothing(&mut fake, &flow).await;
        assert!(within("the end", browser.next(10)).await.unwrap().is_empty());
    }
    (fake, browser)
}

#[tokio::test]
async fn an_end_that_is_never_agreed_to_is_told_with_how_many_may_come_again() {
    let (fake, browser) = takes_two(false).await;
    tokio::time::pause();
    let why = browser.close().await.unwrap_err().0;
    assert!(
        why.contains("does not agree to the close") && why.contains("up to 1 may"),
        "{why}"
    );
    drop(fake);
}

#[tokio::test]
async fn what_a_later_answer_proves_to_have_left_is_not_doubted() {
    let (fake, browser) = takes_two(true).await;
    tokio::time::pause();
    browser.close().await.unwrap();
    drop(fake);
}
