//! Which letters are meant, how fast they are sent, and where they are: from the wire's words to the desk's. Pure.

use std::time::{Duration, UNIX_EPOCH};

use weft_api::event::time;
use weft_api::outcome::Reason;

use crate::admin::dlq::letters::{Filter, Refusal};
use crate::topology::desk::{FOREIGN, In, Selection};
use crate::topology::spec::LOCAL;

/// Where letters are asked for.
pub(super) fn at(r#in: &Option<String>) -> In<'_> {
    match r#in.as_deref() {
        None | Some(LOCAL) => In::Log(LOCAL),
        Some(name) => In::Destination(name),
    }
}

/// The filter, but for numbers and places: those are `ids`.
pub(super) fn selection(filter: &Filter, ids: Vec<u64>) -> Result<Selection, Refusal> {
    let wrong = |why: String| Err(Refusal::Wrong(why));
    let text = |text: &Option<String>| text.as_deref().map(Box::from);
    let (since_ms, until_ms) = (moment(&filter.since)?, moment(&filter.until)?);
    if let (Some(since), Some(until)) = (since_ms, until_ms)
        && since >= until
    {
        return wrong(
            "nothing is since then and before then: `since` is not earlier than `until`".to_owned(),
        );
    }
    let reasons = || Reason::ALL.iter().map(|known| known.as_str()).chain([FOREIGN]);
    if let Some(reason) = &filter.reason
        && !reasons().any(|known| known == reason)
    {
        let known: Vec<&str> = reasons().collect();
        return wrong(format!(
            "no reason is called {reason:?}; there are: {}",
            known.join(" ")
        ));
    }
    let attributes = filter.attributes.iter();
    Ok(Selection {
        destination: text(&filter.destination),
        route: text(&filter.route),
        reason: text(&filter.reason),
        ty: text(&filter.r#type),
        event: text(&filter.event),
        attributes: attributes
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        since_ms,
        until_ms,
        ids,
    })
}

/// `rate` letters in `per` seconds, as the time between two.
pub(super) fn every(rate: Option<u32>, per: Option<u32>) -> Option<Duration> {
    let per = Duration::from_secs(per.unwrap_or(1).into());
    rate.and_then(|rate| per.checked_div(rate))
}

fn moment(text: &Option<String>) -> Result<Option<u64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let at = time::parse(text)
        .ok_or_else(|| Refusal::Wrong(format!("{text:?} is no time; write 2026-01-31T12:00:00Z")))?;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
