//! Which letters are meant, as a person types it.

use std::time::SystemTime;

use weft_api::config::HumanDuration;
use weft_api::event::time;

use crate::admin::dlq::letters::Filter;
use crate::cli::CliError;

/// Where the router's own dead letters are, as the file calls it.
const LOCAL: &str = "local";

/// Where letters are, and the filters of all commands; those that are given must all hold.
#[derive(clap::Args, Debug)]
pub(super) struct FilterArgs {
    /// The letters that wait in the topic or queue of this destination; left out: those that the router itself keeps.
    #[arg(long = "in", value_name = "DESTINATION")]
    r#in: Option<String>,
    /// The destination that failed.
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// The route.
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// The code of the reason: refused, exhausted, unavailable, ...
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// The event's type.
    #[arg(long = "type", value_name = "TYPE")]
    ty: Option<String>,
    /// The event's id.
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Dead since then: a time (2026-01-31T12:00:00Z), or so long ago (2h).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Dead before then: the same.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The ID that `weft dlq list` shows; may be repeated.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

impl FilterArgs {
    /// Where the letters are; `None`: at the router itself.
    pub(super) fn elsewhere(&self) -> Option<&str> {
        self.r#in.as_deref().filter(|name| *name != LOCAL)
    }

    /// As the router takes it.
    pub(super) fn filter(&self) -> Result<Filter, CliError> {
        let number = |id: &String| {
            id.parse().map_err(|_| {
                CliError::Config(format!(
                    "the id of a letter here is a number, not {id:?}; for one in a topic or queue say --in DESTINATION"
                ))
            })
        };
        let (ids, places) = match self.elsewhere() {
            Some(_) => (Vec::new(), self.ids.clone()),
            None => (self.ids.iter().map(number).collect::<Result<_, _>>()?, Vec::new()),
        };
        Ok(Filter {
            destination: self.destination.clone(),
            route: self.route.clone(),
            reason: self.reason.clone(),
            r#type: self.ty.clone(),
            event: self.event.clone(),
            since: self.since.as_deref().map(moment).transpose()?,
            until: self.until.as_deref().map(moment).transpose()?,
            ids,
            places,
            ..Filter::default()
        })
    }

    /// As a query.
    pub(super) fn query(&self) -> Result<Vec<(&'static str, String)>, CliError> {
        let filter = self.filter()?;
        let texts = [
            ("in", self.elsewhere().map(str::to_owned)),
            ("destination", filter.destination),
            ("route", filter.route),
            ("reason", filter.reason),
            ("type", filter.r#type),
            ("event", filter.event),
            ("since", filter.since),
            ("until", filter.until),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
        let ids = filter.ids.iter().map(|id| ("id", id.to_string()));
        let places = filter.places.iter().map(|place| ("place", place.clone()));
        Ok(texts.chain(ids).chain(places).collect())
    }
}

/// A path with a query, whatever the values have in them.
pub(super) fn target(path: &str, query: &[(&'static str, String)]) -> String {
    let mut target = path.to_owned();
    for (at, (name, value)) in query.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.push_str(name);
        target.push('=');
        target.push_str(&encoded(value));
    }
    target
}

/// A text as a part of a target.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A time, or how long ago it was, as RFC 3339.
pub(in crate::cli) fn moment(text: &str) -> Result<String, CliError> {
    if time::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let ago = text.parse::<HumanDuration>().ok();
    let at = ago.and_then(|ago| SystemTime::now().checked_sub(ago.get()));
    at.map(time::format).ok_or_else(|| {
        CliError::Config(format!(
            "{text:?} is no time: write 2026-01-31T12:00:00Z, or how long ago (30m, 2h, 7d)"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_with_anything_in_it_is_one_value_of_the_query() {
        let query = [("type", "a&b=c d%é".to_owned()), ("id", "7".to_owned())];
        assert_eq!(target("/dlq", &query), "/dlq?type=a%26b%3Dc%20d%25%C3%A9&id=7");
        assert_eq!(target("/dlq", &[]), "/dlq");
    }

    #[test]
    fn an_id_is_a_number_here_and_a_place_elsewhere() {
        let args = |r#in: Option<&str>, id: &str| FilterArgs {
            r#in: r#in.map(str::to_owned),
            destination: None,
            route: None,
            reason: None,
            ty: None,
            event: None,
            since: None,
            until: None,
            ids: vec![id.to_owned()],
        };
        assert_eq!(args(None, "7").filter().unwrap().ids, [7]);
        assert_eq!(args(Some("local"), "7").filter().unwrap().ids, [7]);
        assert_eq!(args(None, "3/1042").filter().unwrap_err().code(), 64);
        let there = args(Some("dlt"), "3/1042");
        assert_eq!(there.filter().unwrap().places, ["3/1042"]);
        assert_eq!(
            target("/dlq", &there.query().unwrap()),
            "/dlq?in=dlt&place=3%2F1042"
        );
    }

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        assert_eq!(moment("2026-01-31T12:00:00Z").unwrap(), "2026-01-31T12:00:00Z");
        let ago = time::parse(&moment("2h").unwrap()).unwrap();
        let passed = ago.elapsed().unwrap().as_secs();
        assert!((7190..7260).contains(&passed), "{passed}");
        assert_eq!(moment("yesterday").unwrap_err().code(), 64);
    }
}
