//! `POST /dlq/replay`: sends dead letters again ([`super::letters::ReplayOrder`]), or says where they would go.

use super::letters::{Letters, Refusal, ReplayOrder};
use super::{Answer, begun, meant, read, refused, told};

pub(super) async fn answer(letters: &dyn Letters, body: &[u8]) -> Answer {
    let order = match read::<ReplayOrder>(body) {
        Ok(order) => order,
        Err(refusal) => return refused(refusal),
    };
    if let Err(refusal) = check(&order) {
        return refused(refusal);
    }
    match order.dry_run {
        true => told(letters.rehearse(order).await),
        false => begun(letters.replay(order).await),
    }
}

fn check(order: &ReplayOrder) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::Wrong(why.to_owned()));
    if order.to.is_some() && order.all_routes {
        return wrong("\"to\" and \"all_routes\" contradict each other");
    }
    if order.ingress.is_some() && !order.all_routes {
        return wrong("\"ingress\" is for \"all_routes\"");
    }
    if order.rate == Some(0) || order.per == Some(0) {
        return wrong("\"rate\" and \"per\" are at least 1");
    }
    match order.dry_run {
        true => Ok(()),
        false => meant(&order.filter, order.all),
    }
}
