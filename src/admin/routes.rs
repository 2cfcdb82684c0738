//! `GET /routes`: the table in the order of the file, as JSON, with how often each route matched.

use super::Source;
use super::answer::Answer;

pub(super) fn answer(source: &dyn Source) -> Answer {
    Answer::json(&source.routes())
}
