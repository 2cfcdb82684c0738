//! `GET /config`: the effective configuration as YAML; whatever came out of `${...}` is masked by the source.

use super::Source;
use super::answer::Answer;

pub(super) fn answer(source: &dyn Source) -> Answer {
    Answer::ok("application/yaml", source.config())
}
