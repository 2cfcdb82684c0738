//! `POST /replay`: sends again what a log kept (`retain:`, [`super::letters::KeptOrder`]), or says what that would be.

use super::letters::{KeptOrder, Letters, Refusal};
use super::{Answer, begun, read, refused, told};

pub(super) async fn answer(letters: &dyn Letters, body: &[u8]) -> Answer {
    let order = match read::<KeptOrder>(body).and_then(check) {
        Ok(order) => order,
        Err(refusal) => return refused(refusal),
    };
    match order.dry_run {
        true => told(letters.rehearse_kept(order).await),
        false => begun(letters.replay_kept(order).await),
    }
}

fn check(order: KeptOrder) -> Result<KeptOrder, Refusal> {
    if order.log.is_empty() || order.to.is_empty() {
        return Err(Refusal::Wrong(
            "\"log\" and \"to\" are names of destinations".to_owned(),
        ));
    }
    if order.rate == Some(0) || order.per == Some(0) {
        return Err(Refusal::Wrong("\"rate\" and \"per\" are at least 1".to_owned()));
    }
    if order.filter.since.is_none() || order.filter.until.is_none() {
        return Err(Refusal::Wrong(
            "from when to when? give \"since\" and \"until\" in the filter".to_owned(),
        ));
    }
    Ok(order)
}
