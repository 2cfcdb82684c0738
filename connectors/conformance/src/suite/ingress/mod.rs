//! What every ingress promises.
//!
//! Owns: what the cases share. The cases lie in the modules below, by what they are about.

mod content;
mod life;
mod outage;
mod pressure;
mod settlement;

pub use content::*;
pub use life::*;
pub use outage::*;
pub use pressure::*;
pub use settlement::*;

use std::collections::BTreeMap;

use tokio::time::timeout;
use weft_api::event::Event;
use weft_api::outcome::Outcome;

use super::{INGRESS, QUIET, STOPS_WITHIN, docs, soon, until, within};
use crate::events::keyed;
use crate::harness::{Admitted, IngressDesk};
use crate::subject::{IngressSubject, Shape};

/// Whether the subject is let off a case; says so.
pub fn is_waived(subject: &impl IngressSubject, case: &str) -> bool {
    super::is_waived(subject.name(), case, subject.waives(case))
}

/// Panics where the subject's column in the docs differs from its waivers.
pub fn documented(subject: &impl IngressSubject) {
    docs::check("Ingress", INGRESS, subject.name(), &|case| subject.waives(case));
}

fn must(subject: &impl IngressSubject, can: bool, what: &str) {
    super::must(subject.name(), can, what);
}

/// Events of one key, so that a partitioned remote keeps them in one lane; their ids are the numbers.
fn numbered(numbers: std::ops::Range<usize>) -> Vec<Event> {
    numbers.map(|number| keyed(&number.to_string(), "k")).collect()
}

fn id(admitted: &Admitted) -> usize {
    admitted.incoming.event.id().parse().expect("our ids are numbers")
}

/// Injects so many and takes them in, in their order; requests one after the other, since their clients have none.
async fn hold(
    subject: &impl IngressSubject,
    desk: &IngressDesk,
    numbers: std::ops::Range<usize>,
) -> Vec<Admitted> {
    if subject.shape() != Shape::Request {
        subject.inject_all(&numbered(numbers.clone())).await;
        return take(desk, numbers.len()).await;
    }
    let mut held = Vec::with_capacity(numbers.len());
    for event in numbered(numbers) {
        subject.inject(&event).await;
        held.extend(take(desk, 1).await);
    }
    held
}

/// The next so many.
async fn take(desk: &IngressDesk, count: usize) -> Vec<Admitted> {
    let mut taken = Vec::with_capacity(count);
    for _ in 0..count {
        taken.push(soon("a message comes in", desk.next()).await);
    }
    taken
}

async fn quiet(desk: &IngressDesk, why: &str) {
    if let Ok(admitted) = timeout(QUIET, desk.next()).await {
        panic!("{why}: {} came in", admitted.incoming.event.id());
    }
}

fn settle_all(desk: &IngressDesk, held: impl IntoIterator<Item = Admitted>) {
    held.into_iter()
        .for_each(|admitted| desk.settle(admitted, Outcome::Accepted));
}

async fn acknowledged(subject: &impl IngressSubject, count: usize) {
    let mut last = 0;
    let all = timeout(super::PATIENCE, async {
        loop {
            last = subject.acknowledged().await;
            if last == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert!(all.await.is_ok(), "{last} messages are acknowledged, not {count}");
}

/// Accepts whatever comes until the remote has so many acknowledged; how often each number came.
async fn accept_until(
    subject: &impl IngressSubject,
    desk: &IngressDesk,
    count: usize,
) -> BTreeMap<usize, usize> {
    let mut came = BTreeMap::new();
    soon("C3: everything is acknowledged in the end", async {
        while subject.acknowledged().await < count {
            while let Ok(admitted) = timeout(QUIET, desk.next()).await {
                *came.entry(id(&admitted)).or_insert(0) += 1;
                desk.settle(admitted, Outcome::Accepted);
            }
        }
    })
    .await;
    came
}

async fn close(desk: IngressDesk) {
    within(STOPS_WITHIN, "C29: the ingress returns", desk.close())
        .await
        .expect("C29: a clean close");
}
