//! What the in-memory egress settles, fault by fault.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use bytes::Bytes;
use weft_api::egress::EgressProfile;
use weft_api::event::{Event, EventBuilder};
use weft_api::outcome::{Fault, Reason};
use weft_conformance::harness::{EgressDesk, Fate};
use weft_inproc::{Act, Faults, Hub, Policy, Sink};

fn events(keys: &[&str]) -> Vec<Event> {
    let event = |(number, key): (usize, &&str)| {
        let mut builder = EventBuilder::new();
        builder.id(&number.to_string()).source("/t").ty("t");
        if !key.is_empty() {
            builder.key(Bytes::from((*key).to_owned()));
        }
        builder.build().unwrap()
    };
    keys.iter().enumerate().map(event).collect()
}

fn start(keeps_order_or_fails: bool) -> (Sink, EgressDesk) {
    let sink = Hub::new().sink("out");
    let profile = EgressProfile {
        batch_events: 8,
        batch_bytes: 1 << 20,
        in_flight: 16,
        keeps_order_or_fails,
    };
    let desk = EgressDesk::start(sink.egress(profile, false));
    (sink, desk)
}

fn faults(fates: &[Fate]) -> Vec<Option<(Fault, Reason, bool)>> {
    let fault = |fate: &Fate| match fate {
        Fate::Failed(error) => Some((error.fault, error.reason, error.maybe_delivered)),
        _ => None,
    };
    fates.iter().map(fault).collect()
}

#[tokio::test(start_paused = true)]
async fn each_act_settles_as_its_fault_and_no_other_event_suffers() {
    let (sink, desk) = start(false);
    let down = Act::Down {
        reason: Reason::Unauthorised,
        retry_after: Some(Duration::from_secs(7)),
    };
    let acts = [
        Act::Accept,
        Act::Reject,
        Act::Fail,
        down,
        Act::Timeout { delivered: true },
        Act::Accept,
    ];
    sink.answer_with(Policy::script(acts, Act::Accept));
    let fates = desk.send(&events(&["", "", "", "", "", ""])).await;
    let expected = [
        None,
        Some((Fault::Event, Reason::Refused, false)),
        Some((Fault::Attempt, Reason::Failed, false)),
        Some((Fault::Destination, Reason::Unauthorised, false)),
        Some((Fault::Destination, Reason::Timeout, true)),
        None,
    ];
    assert_eq!(faults(&fates), expected);
    assert_eq!(fates[3].error().retry_after, Some(Duration::from_secs(7)));
    assert_eq!(sink.ids(), ["0", "4", "5"]);
    desk.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_keeps_order_fails_all_that_is_behind_a_failure() {
    let (sink, desk) = start(true);
    let soon = Duration::from_millis(10);
    sink.answer_with(Policy::script(
        [Act::Accept.after(soon), Act::Fail.after(soon)],
        Act::Accept.after(soon),
    ));
    let (first, second) = (desk.give(events(&["", "", ""])), desk.give(events(&[""])));
    assert_eq!(
        faults(&first.settled().await)[1],
        Some((Fault::Attempt, Reason::Failed, false))
    );
    assert!(!first.settled().await[2].is_accepted() && !second.settled().await[0].is_accepted());
    assert_eq!(sink.ids(), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn without_order_only_the_same_key_waits_for_a_failure() {
    let (sink, desk) = start(false);
    sink.answer_with(Policy::script([Act::Fail], Act::Accept));
    let fates = desk.send(&events(&["a", "b", "a", ""])).await;
    assert_eq!(
        fates.iter().map(Fate::is_accepted).collect::<Vec<_>>(),
        [false, true, false, true]
    );
    assert_eq!(sink.ids(), ["1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_event_is_abandoned_after_the_others_are_settled() {
    let (sink, desk) = start(false);
    let slow = Act::Accept.after(Duration::from_secs(1));
    sink.answer_with(Policy::script(
        [Act::Forget { delivered: true }.into(), slow],
        Act::Accept,
    ));
    let fates = desk.send(&events(&["", "", ""])).await;
    assert!(matches!(fates[0], Fate::Abandoned));
    assert!(fates[1].is_accepted() && fates[2].is_accepted());
    assert_eq!(sink.ids(), ["0", "2", "1"], "answers come in order of their time");
}

#[tokio::test(start_paused = true)]
async fn what_hangs_hangs_until_it_is_let_go() {
    let (sink, desk) = start(false);
    sink.answer_with(Policy::always(Act::Hang));
    let given = desk.give(events(&["a", "b"]));
    sink.until(|sink| sink.hanging() == 2).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(sink.deliveries().is_empty());
    sink.let_go(Act::Accept);
    assert!(given.settled().await.iter().all(Fate::is_accepted));
    assert_eq!(sink.hanging(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_egress_that_ends_or_panics_abandons_all_that_it_holds() {
    for act in [Act::Quit, Act::Panic] {
        let (sink, desk) = start(false);
        let end = act.after(Duration::from_millis(5));
        sink.answer_with(Policy::script([Act::Hang.into(), end], Act::Hang));
        let given = desk.give(events(&["", "", ""]));
        assert!(
            given
                .settled()
                .await
                .iter()
                .all(|fate| matches!(fate, Fate::Abandoned))
        );
        assert_eq!(sink.hanging(), 0);
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (sink, desk) = start(false);
            sink.answer_with(Policy::seeded(
                seed,
                Faults {
                    panic: 0,
                    quit: 0,
                    ..Faults::MIXED
                },
            ));
            faults(&desk.send(&events(&[""; 200])).await)
        })
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    assert!(run(7).iter().any(Option::is_some));
}
