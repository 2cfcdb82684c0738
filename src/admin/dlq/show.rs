//! `GET /dlq/ID`: one dead letter with everything ([`super::letters::Whole`]). `GET /dlq/first?FILTER`: the first that is meant,
//! for letters that have no number that holds.

use super::letters::{Letters, Refusal};
use super::{Answer, query, refused, told};

pub(super) async fn answer(letters: &dyn Letters, id: &str, text: &str) -> Answer {
    let id =
        query::decode(id).ok_or_else(|| Refusal::Wrong("the id is not percent-encoded UTF-8".to_owned()));
    match id.and_then(|id| Ok((id, query::read(text)?))) {
        Ok((id, ask)) => told(letters.letter(ask.r#in, id).await),
        Err(refusal) => refused(refusal),
    }
}

pub(super) async fn first(letters: &dyn Letters, text: &str) -> Answer {
    match query::read(text) {
        Ok(ask) => told(letters.first(ask).await),
        Err(refusal) => refused(refusal),
    }
}
