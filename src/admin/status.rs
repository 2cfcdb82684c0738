//! `GET /status`: every ingress and destination as it stands, as JSON ([`super::snapshot::Snapshot`]).

use super::Source;
use super::answer::Answer;

pub(super) fn answer(source: &dyn Source) -> Answer {
    Answer::json(&source.snapshot())
}
