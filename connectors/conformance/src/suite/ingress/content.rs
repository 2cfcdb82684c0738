//! What a message is when it has come in.

use bytes::Bytes;
use tokio::time::sleep;
use weft_api::event::Attributes;
use weft_api::outcome::Outcome;

use super::super::QUIET;
use super::{acknowledged, close, must, soon, until};
use crate::events::{corpus, difference, plain, with_data};
use crate::harness::IngressDesk;
use crate::subject::{IngressSubject, Shape, TooLarge};

/// C2, C34, C35: attributes and data arrive equal, whatever their type, size and content.
pub async fn what_comes_in_is_what_was_sent(subject: &impl IngressSubject) {
    let desk = IngressDesk::start(subject.ingress(None), None);
    let corpus = corpus(subject.data_max());
    if subject.shape() != Shape::Request {
        subject.inject_all(&corpus).await;
    }
    for event in &corpus {
        if subject.shape() == Shape::Request {
            subject.inject(event).await;
        }
        let admitted = soon("a message comes in", desk.next()).await;
        assert!(
            !admitted.incoming.malformed,
            "C2: {} came in as malformed",
            event.id()
        );
        let wrong = difference(event, &admitted.incoming.event, subject.keeps_types());
        assert_eq!(wrong, None, "C2: {}", event.id());
        desk.settle(admitted, Outcome::Accepted);
    }
    acknowledged(subject, corpus.len()).await;
    close(desk).await;
}

/// C6 to C8, C34: what is no event keeps its bytes and the reason, settles like an event, and stops nothing.
pub async fn what_is_malformed_comes_with_its_bytes(subject: &impl IngressSubject) {
    const BODY: &[u8] = b"\x00\xff kept as it came \xf0\x9f";
    let desk = IngressDesk::start(subject.ingress(None), None);
    let sent = subject.inject_malformed(BODY).await;
    must(subject, sent, "send a malformed message");
    let malformed = soon("the malformed message comes in", desk.next()).await;
    let event = &malformed.incoming.event;
    assert!(malformed.incoming.malformed, "C34: {event:?} passed as an event");
    assert_eq!(event.ty(), "weft.malformed");
    assert_eq!(
        event.data().map(|data| &data[..]),
        Some(BODY),
        "the bytes are kept"
    );
    assert!(
        event
            .get("weftreason")
            .is_some_and(|reason| !reason.text.is_empty()),
        "the reason is told: {event:?}"
    );
    subject.inject(&plain("good")).await;
    let good = soon("the next message comes in", desk.next()).await;
    assert!(!good.incoming.malformed && good.incoming.event.id() == "good");
    desk.settle(malformed, Outcome::Accepted);
    desk.settle(good, Outcome::Accepted);
    acknowledged(subject, 2).await;
    close(desk).await;
}

/// C33, C35: what is larger than the limit never comes in as an event, and stops nothing.
pub async fn what_is_above_the_limit_is_no_event(subject: &impl IngressSubject) {
    let limit = subject.event_max();
    let desk = IngressDesk::start(subject.ingress(None), None);
    let large = with_data(
        "large",
        "application/octet-stream",
        Bytes::from(vec![7; limit + 1]),
    );
    subject.inject(&large).await;
    let mut expected = 1;
    match subject.too_large() {
        TooLarge::Malformed => {
            let malformed = soon("it comes in as malformed", desk.next()).await;
            let event = &malformed.incoming.event;
            assert!(
                malformed.incoming.malformed,
                "C35: {} bytes came in as an event",
                event.size()
            );
            let reason = event
                .get("weftreason")
                .map(|reason| reason.text.to_owned())
                .unwrap_or_default();
            assert!(
                reason.contains(&limit.to_string()),
                "C35: `{reason}` names the limit of {limit}"
            );
            desk.settle(malformed, Outcome::Accepted);
            expected = 2;
        }
        TooLarge::Refused => {
            until("C35: the remote is told", || async {
                subject.refused().await == Some(1)
            })
            .await;
        }
        TooLarge::Withheld => sleep(QUIET).await,
    }
    subject.inject(&plain("next")).await;
    let next = soon("the next message comes in", desk.next()).await;
    assert_eq!(next.incoming.event.id(), "next", "C35");
    desk.settle(next, Outcome::Accepted);
    acknowledged(subject, expected).await;
    close(desk).await;
}
