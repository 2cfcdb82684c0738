//! `GET /dlq/ID`: one dead letter with everything ([`super::letters::Whole`]).

use super::letters::Letters;
use super::{Answer, told};

pub(super) async fn answer(letters: &dyn Letters, id: u64) -> Answer {
    told(letters.letter(id).await)
}
