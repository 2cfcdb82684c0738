//! Connections that break, and remotes that die or are away.

use std::collections::BTreeMap;

use weft_api::outcome::Fault;

use super::faults::accepted_in_the_end;
use super::{close, counts, must, set, soon};
use crate::events::plain;
use crate::harness::{EgressDesk, Pump, Pumped};
use crate::subject::{EgressSubject, Remote};

/// How many events are confirmed before, between and after two faults, so that each hits a full window.
const BETWEEN: usize = 400;

/// C3, C23: a remote that is not there is the destination's fault and no error of the egress, which finds it again.
pub async fn a_remote_that_is_gone_has_taken_nothing_and_is_found_again(subject: &impl EgressSubject) {
    set(subject, Remote::Gone).await;
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("it is settled without the remote", desk.send(&[plain("lost")])).await;
    let error = fates[0].error();
    assert_eq!(error.fault, Fault::Destination, "{error:?}");
    assert!(!error.maybe_delivered, "nobody was there to take it: {error:?}");
    assert!(!error.detail.is_empty(), "an operator reads what to do");
    set(subject, Remote::Accepts).await;
    accepted_in_the_end(&desk, "found").await;
    let counts = counts(subject).await;
    assert!(
        counts.contains_key("found") && !counts.contains_key("lost"),
        "{counts:?}"
    );
    close(desk).await;
}

/// C3, C4, C11, C12, C20: connections that break under load: everything arrives, repeats stay within what was in flight,
/// and the first deliveries of a key keep their order.
pub async fn a_cut_in_mid_flight_loses_nothing_and_keeps_the_order(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let pump = Pump::new();
    let faults = async {
        for step in 1..=2 {
            pump.reached(step * BETWEEN).await;
            must(subject, subject.cut().await, "cut its connections");
        }
        pump.reached(3 * BETWEEN).await;
        pump.finish();
    };
    let (pumped, ()) = soon("C3: everything is settled", async {
        tokio::join!(pump.run(&desk), faults)
    })
    .await;
    judge(subject, &pumped, 2).await;
    close(desk).await;
}

/// C1, C3, C4, C20: the remote dies under load, and comes back with what it kept: it has everything that was confirmed,
/// and in the end everything, with the repeats and the order of any reconnect.
pub async fn a_killed_remote_has_all_that_was_confirmed(subject: &impl EgressSubject) {
    let desk = EgressDesk::start(subject.egress());
    let pump = Pump::new();
    let faults = async {
        pump.reached(BETWEEN).await;
        must(subject, subject.kill().await, "be killed");
        subject.restart().await;
        let before = pump.accepted();
        pump.reached(before + BETWEEN).await;
        pump.finish();
    };
    let (pumped, ()) = tokio::time::timeout(super::super::PATIENCE * 2, async {
        tokio::join!(pump.run(&desk), faults)
    })
    .await
    .expect("C3: everything is settled");
    judge(subject, &pumped, 1).await;
    close(desk).await;
}

/// What the remote has in the end, held against what the pump was told.
async fn judge(subject: &impl EgressSubject, pumped: &Pumped, occasions: usize) {
    let received = subject.received().await;
    let mut seen = vec![0_usize; pumped.events];
    let mut last: BTreeMap<usize, usize> = BTreeMap::new();
    for event in &received {
        let number: usize = event.id().parse().expect("our ids are numbers");
        seen[number] += 1;
        if seen[number] == 1 {
            let before = last.insert(number % pumped.keys, number);
            let expected = before.map_or(number % pumped.keys, |before| before + pumped.keys);
            assert_eq!(
                number, expected,
                "C20: {number} overtook {expected}, which has the same key"
            );
        }
    }
    let lost: Vec<usize> = (0..pumped.events).filter(|number| seen[*number] == 0).collect();
    assert!(lost.is_empty(), "C1: confirmed, and not there: {lost:?}");
    let repeats = received.len() - pumped.events;
    let bound = pumped.maybe + occasions * pumped.window;
    assert!(
        repeats <= bound,
        "C4: {repeats} repeats, {} told as possible, window {}",
        pumped.maybe,
        pumped.window
    );
    super::super::say(&format!(
        "{}: {} events, {} failures, {} perhaps delivered, {repeats} repeats",
        subject.name(),
        pumped.events,
        pumped.failures,
        pumped.maybe
    ));
}
