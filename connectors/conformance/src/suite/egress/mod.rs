//! What every egress promises.
//!
//! Owns: what the cases share. The cases lie in the modules below, by what they are about.

mod delivery;
mod faults;
mod life;
mod outage;

pub use delivery::*;
pub use faults::*;
pub use life::*;
pub use outage::*;

use std::collections::BTreeMap;

use weft_api::event::Event;

use super::{EGRESS, STOPS_WITHIN, docs, soon, within};
use crate::events::plain;
use crate::harness::EgressDesk;
use crate::subject::{EgressSubject, Remote};

/// Whether the subject is let off a case; says so.
pub fn is_waived(subject: &impl EgressSubject, case: &str) -> bool {
    super::is_waived(subject.name(), case, subject.waives(case))
}

/// Panics where the subject's column in the docs differs from its waivers.
pub fn documented(subject: &impl EgressSubject) {
    docs::check("Egress", EGRESS, subject.name(), &|case| subject.waives(case));
}

/// Makes the remote behave so; one that cannot needs a waiver.
async fn set(subject: &impl EgressSubject, remote: Remote) {
    let can = subject.set(remote).await;
    super::must(subject.name(), can, &format!("be told to be {remote:?}"));
}

fn must(subject: &impl EgressSubject, can: bool, what: &str) {
    super::must(subject.name(), can, what);
}

/// Events without a key, whose ids are the numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|number| plain(&number.to_string())).collect()
}

/// A running egress whose connection stands: it has delivered `warm`.
async fn warm(subject: &impl EgressSubject) -> EgressDesk {
    let desk = EgressDesk::start(subject.egress());
    let fates = soon("the first event is settled", desk.send(&[plain("warm")])).await;
    assert!(fates[0].is_accepted(), "{:?}", fates[0]);
    desk
}

/// How often the remote has taken each id.
async fn counts(subject: &impl EgressSubject) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for event in subject.received().await {
        *counts.entry(event.id().to_owned()).or_insert(0) += 1;
    }
    counts
}

async fn close(desk: EgressDesk) {
    within(STOPS_WITHIN, "C29: the egress returns", desk.close())
        .await
        .expect("C29: a clean close");
}
