//! Plain requests: how one that is no CloudEvent becomes an event, by the ingress' `event:` section.
//!
//! Defaults: type `weft.http.request`, source `weft://CLUSTER/INGRESS`, id the `Idempotency-Key` header or else a fresh
//! UUID, subject the path. The content type is kept.

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use weft_api::config::{Finding, Node};
use weft_api::connector::IngressSettings;
use weft_api::event::{Event, EventBuilder, json};
use weft_api::mapping::{Inputs, PlainMapping};
use weft_api::template::{Scope, Step};

use crate::mapping::content_type;

/// The `type` of plain requests, unless the section sets another.
pub(crate) const PLAIN_TYPE: &str = "weft.http.request";
/// A client that repeats a request under its key repeats the event's identity.
const PLAIN_ID: &str = "{headers.idempotency-key | else uuid}";

thread_local! {
    static SCRATCH: RefCell<EventBuilder> = RefCell::new(EventBuilder::new());
}

/// The compiled mapping.
#[derive(Clone, Debug)]
pub(crate) struct Plain(PlainMapping);

impl Plain {
    /// Reads `event:`; `section` is `http:`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub(crate) fn read(settings: &IngressSettings, section: &Node) -> Result<Plain, Vec<Finding>> {
        PlainMapping::read(settings, section, PLAIN_TYPE, PLAIN_ID, &Scope::HTTP_INGRESS).map(Plain)
    }

    /// Makes the event; one bounded line where it cannot.
    pub(crate) fn event(&self, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Event, String> {
        let media = content_type(headers)
            .map_err(|_| "header \"content-type\" comes more than once or is no text")?;
        // What `curl -d` says of any body unless it is told otherwise: JSON is taken for what it is.
        let media = match media {
            Some("application/x-www-form-urlencoded") if json::is_value(&body) => Some("application/json"),
            other => other,
        };
        let data = (!body.is_empty()).then_some(body);
        let inputs = Request {
            uri,
            headers,
            data: data.as_ref(),
        };
        SCRATCH.with_borrow_mut(|builder| {
            builder.clear();
            builder.subject(uri.path());
            self.0
                .apply(&inputs, data.clone(), media, builder)
                .map_err(|error| error.to_string())
        })
    }
}

/// What a request gives to templates.
struct Request<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    data: Option<&'a Bytes>,
}

impl Inputs for Request<'_> {
    fn root(&self, name: &str, step: Option<&Step>) -> Option<Cow<'_, str>> {
        match (name, step) {
            ("path", None) => Some(Cow::Borrowed(self.uri.path())),
            ("path", Some(Step::Element(index))) => segment(self.uri.path(), *index),
            ("query", Some(Step::Member(name))) => query(self.uri.query()?, name),
            ("headers", Some(Step::Member(name))) => {
                std::str::from_utf8(self.headers.get(&**name)?.as_bytes())
                    .ok()
                    .map(Cow::Borrowed)
            }
            _ => None,
        }
    }

    fn data(&self) -> Option<&Bytes> {
        self.data
    }
}

/// A segment of the path, counted from 0, percent-decoded; one that is empty is missing.
fn segment(path: &str, index: usize) -> Option<Cow<'_, str>> {
    let segment = path.strip_prefix('/').unwrap_or(path).split('/').nth(index)?;
    if segment.is_empty() {
        None
    } else {
        unescape(segment, false)
    }
}

/// The first parameter of that name, decoded as forms are.
fn query<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(key, true)? == name).then(|| unescape(value, true))?
    })
}

/// Undoes percent-encoding; `None` where the result is no UTF-8. A `%` that begins no escape stands for itself.
fn unescape(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if digit(*high).is_some() && digit(*low).is_some() => {
                let value = digit(*high)
                    .zip(digit(*low))
                    .map_or(0, |(high, low)| high << 4 | low);
                out.push(value as u8);
                rest = after;
            }
            (b'+', _) if plus_is_space => out.push(b' '),
            _ => out.push(*first),
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;
    use weft_api::mapping::PlainDefaults;

    fn compile(section: &[(&str, &str)]) -> Plain {
        let defaults = PlainDefaults {
            ty: PLAIN_TYPE,
            source: "weft://paris/app",
            id: PLAIN_ID,
        };
        PlainMapping::compile(section.iter().copied(), defaults, &Scope::HTTP_INGRESS)
            .map(Plain)
            .unwrap()
    }

    fn made(section: &[(&str, &str)], uri: &str, body: &'static str) -> Result<Event, String> {
        let plain = compile(section);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-kind", HeaderValue::from_static("big"));
        plain.event(
            &uri.parse().unwrap(),
            &headers,
            Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn a_request_becomes_an_event_without_any_section() {
        let event = made(&[], "/events/a", r#"{"hello":1}"#).unwrap();
        assert_eq!((event.ty(), event.source()), (PLAIN_TYPE, "weft://paris/app"));
        assert_eq!(event.id().len(), 36);
        assert_eq!(event.subject(), Some("/events/a"));
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert_eq!(event.data().unwrap(), r#"{"hello":1}"#);
    }

    #[test]
    fn templates_reach_path_query_headers_and_data() {
        let section = [
            ("id", "{query.id}"),
            ("type", "x.{headers.X-Kind}"),
            ("subject", "{path[1]}"),
            ("who", "{data.name}"),
        ];
        let event = made(&section, "/events/caf%C3%A9?x=1&id=a+b%21", r#"{"name":"n"}"#).unwrap();
        assert_eq!(
            (event.id(), event.ty(), event.subject()),
            ("a b!", "x.big", Some("caf\u{e9}"))
        );
        let who = event.extensions().find(|(name, _)| *name == "who").unwrap().1;
        assert_eq!(who.text, "n");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = made(&[("subject", "{query.none}")], "/", "x").unwrap_err();
        assert!(error.contains("query.none"), "{error}");
        let error = made(&[("subject", "{path[0]}")], "/", "x").unwrap_err();
        assert!(error.contains("path[0]"), "{error}");
    }

    #[test]
    fn a_repeated_idempotency_key_is_the_same_identity() {
        let plain = compile(&[]);
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", HeaderValue::from_static("k-1"));
        let id = |body| {
            plain
                .event(&Uri::from_static("/"), &headers, body)
                .unwrap()
                .id()
                .to_owned()
        };
        assert_eq!(id(Bytes::new()), "k-1");
    }
}
