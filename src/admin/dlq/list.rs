//! `GET /dlq?FILTER`: a page of dead letters ([`super::letters::Page`]).

use super::letters::Letters;
use super::{Answer, query, refused, told};

pub(super) async fn answer(letters: &dyn Letters, text: &str) -> Answer {
    match query::read(text) {
        Ok(ask) => told(letters.page(ask).await),
        Err(refusal) => refused(refusal),
    }
}
