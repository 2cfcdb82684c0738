//! What each answer of the remote means, and for whom.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;
use weft_api::event::Event;
use weft_api::outcome::{Fault, Reason, SendError};

use super::{close, counts, must, numbered, set, soon, warm};
use crate::events::plain;
use crate::harness::{EgressDesk, Fate};
use crate::subject::{EgressSubject, Remote};

/// How often an event may be given again before it counts as disturbed.
const AGAIN_MAX: usize = 20;

/// C9 to C12: what the remote will never take is the event's fault, and certainly not delivered.
pub async fn a_refusal_is_the_events_fault(subject: &impl EgressSubject) {
    fault(subject, Remote::Refuses, Fault::Event).await;
}

/// C9, C23: what may work the next time uses up an attempt.
pub async fn a_failure_is_an_attempt(subject: &impl EgressSubject) {
    fault(subject, Remote::Fails, Fault::Attempt).await;
}

/// C9, C11, C12, C23: what says "later" uses up none.
pub async fn an_overload_is_the_destinations_fault(subject: &impl EgressSubject) {
    let error = fault(subject, Remote::Overloaded, Fault::Destination).await;
    assert_eq!(error.reason, Reason::Overloaded, "{error:?}");
}

/// C9, C10, C23: credentials are the destination's to mend: the events wait.
pub async fn refused_credentials_are_the_destinations_fault(subject: &impl EgressSubject) {
    let error = fault(subject, Remote::Unauthorised, Fault::Destination).await;
    assert_eq!(error.reason, Reason::Unauthorised, "{error:?}");
}

/// C9, C10, C23: so is what the configuration names and the remote does not have; it is found when it is there.
pub async fn what_does_not_exist_is_the_destinations_fault(subject: &impl EgressSubject) {
    let error = fault(subject, Remote::Missing, Fault::Destination).await;
    assert_eq!(error.reason, Reason::Misconfigured, "{error:?}");
}

/// C9, C10, C14: one that is never taken fails alone. Others may have to be given again, but none is blamed.
pub async fn an_event_that_is_never_taken_disturbs_no_other(subject: &impl EgressSubject) {
    let poison = subject.poison("poison").await;
    must(subject, poison.is_some(), "tell an event that it never takes");
    let Some(poison) = poison else { return };
    let desk = EgressDesk::start(subject.egress());
    let mut open: Vec<Event> = numbered(0..10);
    open.insert(5, poison);
    let mut refused = 0;
    for _ in 0..AGAIN_MAX {
        let batch = desk.profile.batch_events.min(desk.profile.in_flight) as usize;
        let given: Vec<_> = open
            .chunks(batch)
            .map(|events| desk.give(events.to_vec()))
            .collect();
        let mut fates = Vec::new();
        for given in given {
            fates.extend(soon("all are settled", given.settled()).await);
        }
        let mut again = Vec::new();
        for (event, fate) in open.into_iter().zip(fates) {
            match fate {
                Fate::Accepted => assert_ne!(event.id(), "poison", "it is never taken"),
                Fate::Failed(error) if event.id() == "poison" && error.fault == Fault::Event => {
                    assert!(!error.maybe_delivered, "the remote has answered: {error:?}");
                    refused += 1;
                }
                Fate::Failed(error) => {
                    assert_eq!(
                        error.fault,
                        Fault::Destination,
                        "{} is blamed: {error:?}",
                        event.id()
                    );
                    again.push(event);
                }
                Fate::Abandoned => panic!("{} was forgotten", event.id()),
            }
        }
        open = again;
        if open.is_empty() {
            break;
        }
    }
    assert!(open.is_empty(), "{} events are never settled", open.len());
    assert_eq!(refused, 1, "it is refused once");
    let expected: BTreeMap<String, usize> = (0..10).map(|number: u32| (number.to_string(), 1)).collect();
    assert_eq!(
        counts(subject).await,
        expected,
        "C14: the others arrive, each once"
    );
    close(desk).await;
}

/// C4, C9, C15: no answer within the time-out means that the remote may have it.
pub async fn silence_may_have_delivered(subject: &impl EgressSubject) {
    let desk = warm(subject).await;
    set(subject, Remote::Silent).await;
    let fates = soon("the time-out settles it", desk.send(&[plain("silent")])).await;
    let error = fates[0].error();
    assert!(error.maybe_delivered, "C4: {error:?} claims to know");
    assert_eq!(error.fault, Fault::Destination, "{error:?}");
    set(subject, Remote::Accepts).await;
    accepted_in_the_end(&desk, "good").await;
    close(desk).await;
}

async fn fault(subject: &impl EgressSubject, remote: Remote, fault: Fault) -> SendError {
    set(subject, remote).await;
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("the event is settled", desk.send(&[plain("bad")])).await;
    let error = fates[0].error().clone();
    assert_eq!(error.fault, fault, "{error:?}");
    assert!(!error.maybe_delivered, "the remote has answered: {error:?}");
    assert!(
        !error.detail.is_empty() && !error.detail.contains('\n'),
        "one line for an operator: {error:?}"
    );
    set(subject, Remote::Accepts).await;
    if fault == Fault::Destination {
        // It may look at the destination now and then only.
        accepted_in_the_end(&desk, "good").await;
    } else {
        let fates = soon("the next one is settled", desk.send(&[plain("good")])).await;
        assert!(
            fates[0].is_accepted(),
            "an event after {remote:?}: {:?}",
            fates[0]
        );
    }
    let counts = counts(subject).await;
    assert!(
        !counts.contains_key("bad") && counts.contains_key("good"),
        "{counts:?}"
    );
    close(desk).await;
    error
}

/// Gives one event until it is accepted; every failure on the way is the destination's.
pub(super) async fn accepted_in_the_end(desk: &EgressDesk, id: &str) {
    soon("C3: the remote is found again", async {
        loop {
            match &desk.send(&[plain(id)]).await[0] {
                Fate::Accepted => return,
                Fate::Failed(error) => assert_eq!(error.fault, Fault::Destination, "{error:?}"),
                Fate::Abandoned => panic!("{id} was forgotten"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
