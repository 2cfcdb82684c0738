//! `GET /metrics`: the Prometheus text format, version 0.0.4.

use super::Source;
use super::answer::Answer;

pub(super) fn answer(source: &dyn Source) -> Answer {
    Answer::ok("text/plain; version=0.0.4; charset=utf-8", source.metrics())
}
