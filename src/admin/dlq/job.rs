//! `GET /job`: the job that runs, else the last one ([`super::letters::JobStatus`]). `POST /job/cancel` ends it: what is
//! under way may still be delivered, and stays in the log if that cannot be known.

use super::letters::Letters;
use super::{Answer, told};

pub(super) fn answer(letters: &dyn Letters) -> Answer {
    told(letters.job())
}

pub(super) fn cancel(letters: &dyn Letters) -> Answer {
    told(letters.cancel())
}
