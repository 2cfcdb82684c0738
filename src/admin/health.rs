//! `GET /healthz`: the process lives and its runtime turns. Says nothing of brokers: a restart would not mend those.

use hyper::StatusCode;

use super::answer::Answer;

pub(super) fn answer() -> Answer {
    Answer::text(StatusCode::OK, "ok\n")
}
