//! `POST /dlq/purge`: takes dead letters out for good ([`super::letters::PurgeOrder`]).

use super::letters::{Letters, PurgeOrder};
use super::{Answer, begun, meant, read, refused};

pub(super) async fn answer(letters: &dyn Letters, body: &[u8]) -> Answer {
    let order = read::<PurgeOrder>(body).and_then(|order| meant(&order.filter, order.all).map(|()| order));
    match order {
        Ok(order) => begun(letters.purge(order).await),
        Err(refusal) => refused(refusal),
    }
}
