//! The endpoints over dead letters, here and elsewhere, over what logs kept, and over the one job that may run.
//!
//! Invariants: a `GET` looks and takes nothing; what changes something is a `POST` with a JSON body that says which
//! letters are meant, and nothing said is refused rather than taken for everything.

mod counts;
mod job;
mod kept;
pub mod letters;
mod list;
mod purge;
mod query;
mod replay;
mod show;

use hyper::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::{Method, Source};
use letters::Refusal;

/// Endpoints that are looked at.
pub(super) const LOOKED_AT: [&str; 4] = ["/dlq", "/dlq/counts", "/dlq/first", "/job"];
/// Endpoints that do something.
pub(super) const DOING: [&str; 4] = ["/dlq/replay", "/dlq/purge", "/replay", "/job/cancel"];

/// `None`: it is none of these endpoints.
pub(super) async fn answer(
    source: &dyn Source,
    method: Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Option<Answer> {
    let does = DOING.contains(&path);
    let id = path
        .strip_prefix("/dlq/")
        .filter(|id| !id.is_empty() && !does && !LOOKED_AT.contains(&path));
    let looks = LOOKED_AT.contains(&path) || id.is_some();
    if !looks && !does {
        return None;
    }
    match method {
        Method::Post if looks => return Some(Answer::method("GET, HEAD")),
        Method::Get if !looks => return Some(Answer::method("POST")),
        _ => {}
    }
    let letters = source.letters();
    let letters = &*letters;
    Some(match (path, id) {
        (_, Some(id)) => show::answer(letters, id, query).await,
        ("/dlq/first", _) => show::first(letters, query).await,
        ("/dlq", _) => list::answer(letters, query).await,
        ("/dlq/counts", _) => counts::answer(letters, query).await,
        ("/dlq/replay", _) => replay::answer(letters, body).await,
        ("/dlq/purge", _) => purge::answer(letters, body).await,
        ("/replay", _) => kept::answer(letters, body).await,
        ("/job/cancel", _) => job::cancel(letters),
        _ => job::answer(letters),
    })
}

fn told(result: Result<impl Serialize, Refusal>) -> Answer {
    match result {
        Ok(value) => Answer::json(&value),
        Err(refusal) => refused(refusal),
    }
}

/// 202: it goes on behind this answer.
fn begun(result: Result<impl Serialize, Refusal>) -> Answer {
    let answer = told(result);
    match answer.status {
        StatusCode::OK => Answer {
            status: StatusCode::ACCEPTED,
            ..answer
        },
        _ => answer,
    }
}

fn refused(refusal: Refusal) -> Answer {
    let (status, why) = match refusal {
        Refusal::Wrong(why) => (StatusCode::BAD_REQUEST, why),
        Refusal::Unknown(why) => (StatusCode::NOT_FOUND, why),
        Refusal::Busy(why) => (StatusCode::CONFLICT, why),
        Refusal::Failed(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    };
    Answer::text(status, why + "\n")
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Wrong(format!("the body: {error}")))
}

/// Everything must be said in so many words.
fn meant(filter: &letters::Filter, all: bool) -> Result<(), Refusal> {
    match (filter.is_everything(), all) {
        (true, false) => Err(Refusal::Wrong(
            "which letters? give a filter, or \"all\": true for all of them".to_owned(),
        )),
        (false, true) => Err(Refusal::Wrong(
            "a filter and \"all\" contradict each other".to_owned(),
        )),
        _ => Ok(()),
    }
}
