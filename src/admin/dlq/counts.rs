//! `GET /dlq/counts?FILTER`: how many dead letters there are ([`super::letters::Counts`]), a part of them at a time.

use super::letters::Letters;
use super::{Answer, query, refused, told};

pub(super) async fn answer(letters: &dyn Letters, text: &str) -> Answer {
    match query::read(text) {
        Ok(ask) => told(letters.counts(ask).await),
        Err(refusal) => refused(refusal),
    }
}
