//! Where a destination's requests go: a fixed host, and a path and query that templates may fill.
//!
//! Invariant: a value of an event never chooses the host, adds a path segment, or ends the request line: what a template
//! puts in is percent-encoded down to RFC 3986's unreserved characters, and `.`, `..` and nothing are refused (C34).

use std::borrow::Cow;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use weft_api::event::{AttrKind, AttrValue, Event};
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Inputs, Scope, Step, Template, guard};

/// What is wrong with a line of the file, and what to write instead.
pub(crate) type Fault = (String, String);

/// A parsed URL.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    authority: Authority,
    /// The `Host` header.
    pub(crate) host: HeaderValue,
    path: Path,
    /// As written, for errors and logs; it has no credentials.
    pub(crate) text: String,
}

#[derive(Clone, Debug)]
enum Path {
    Fixed(PathAndQuery),
    Made(Template),
}

impl Target {
    /// Parses `http://HOST[:PORT][/PATH][?QUERY]`.
    pub(crate) fn parse(url: &str) -> Result<Target, Fault> {
        let fault = |what: &str, remedy: &str| Err((format!("{url:?}: {what}"), remedy.to_owned()));
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return fault(
                    "https is not spoken yet",
                    "use http:// to a proxy beside the router that speaks TLS",
                );
            }
            _ => return fault("this is no http URL", "write http://HOST:PORT/PATH"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains(['{', '}']) {
            return fault(
                "a template may not fill the host",
                "name each host as a destination of its own, and route to it",
            );
        }
        if authority.contains('@') {
            return Err((
                "credentials in a URL end up in logs".to_owned(),
                "write them under headers, such as authorization: \"${file:/run/secrets/token}\"".to_owned(),
            ));
        }
        if path.contains('#') {
            return fault("a fragment is never sent", "take the # and what follows away");
        }
        let Ok(authority) = authority.parse::<Authority>() else {
            return fault("the host or port cannot be read", "write http://HOST:PORT/PATH");
        };
        let port_unreadable = authority.as_str() != authority.host() && authority.port_u16().is_none();
        if authority.host().is_empty() || port_unreadable {
            return fault(
                "the host or port is missing or out of range",
                "write http://HOST:PORT/PATH",
            );
        }
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| ("the host is no text".into(), "correct it".into()))?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let path = Path::parse(&path)?;
        Ok(Target {
            authority,
            host,
            path,
            text: url.to_owned(),
        })
    }

    /// The host to connect to, without the brackets of an IPv6 address.
    pub(crate) fn connect_to(&self) -> (&str, u16) {
        let host = self.authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        (host, self.authority.port_u16().unwrap_or(80))
    }

    /// The request's URI: origin form, or absolute form where `absolute` (HTTP/2 makes its pseudo-headers of it).
    pub(crate) fn uri(&self, event: &Event, absolute: bool) -> Result<Uri, SendError> {
        let path = match &self.path {
            Path::Fixed(path) => path.clone(),
            Path::Made(template) => {
                let mut text = String::new();
                template
                    .render_guarded(event, &guard::path_segment, &mut text)
                    .map_err(|error| {
                        SendError::event(
                            Reason::Address,
                            format!(
                                "filling url {}: {error}; correct the event, or give the template an else",
                                self.text
                            ),
                        )
                    })?;
                PathAndQuery::try_from(text).map_err(|error| {
                    SendError::event(
                        Reason::Address,
                        format!(
                            "filling url {}: {error}; shorten the event's attributes",
                            self.text
                        ),
                    )
                })?
            }
        };
        if !absolute {
            return Ok(Uri::from(path));
        }
        let mut parts = http::uri::Parts::default();
        (parts.scheme, parts.authority, parts.path_and_query) =
            (Some(Scheme::HTTP), Some(self.authority.clone()), Some(path));
        // All three are there and valid.
        Uri::from_parts(parts).map_err(|error| SendError::event(Reason::Address, error.to_string()))
    }
}

impl Path {
    fn parse(text: &str) -> Result<Path, Fault> {
        let unusable = |text: &str| {
            format!("the path {text:?} cannot be sent: percent-encode what is not allowed in it")
        };
        let template = Template::parse(text, &Scope::EGRESS).map_err(|error| {
            (
                format!("column {} of the path: {}", error.column, error.what),
                error.remedy,
            )
        })?;
        let remedy = || "write it as RFC 3986 has it".to_owned();
        if let Some(text) = template.as_constant() {
            let path = PathAndQuery::try_from(text.to_owned()).map_err(|_| (unusable(text), remedy()))?;
            return Ok(Path::Fixed(path));
        }
        let mut sample = String::new();
        // A function that wants a number cannot be tried out; then the event tells.
        if template
            .render_guarded(&Sample, &guard::path_segment, &mut sample)
            .is_ok()
        {
            PathAndQuery::try_from(sample).map_err(|_| (unusable(text), remedy()))?;
        }
        Ok(Path::Made(template))
    }
}

/// Every input is there, and harmless: what remains is the author's own text.
struct Sample;

impl Inputs for Sample {
    fn attribute(&self, _: &str) -> Option<AttrValue<'_>> {
        Some(AttrValue {
            kind: AttrKind::String,
            text: "1",
        })
    }

    fn root(&self, _: &str, _: Option<&Step>) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed("1"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use weft_api::event::EventBuilder;

    fn event(subject: &str) -> Event {
        EventBuilder::new()
            .id("1")
            .source("/s")
            .ty("t")
            .subject(subject)
            .build()
            .unwrap()
    }

    fn path(url: &str, subject: &str) -> Result<String, SendError> {
        Target::parse(url)
            .unwrap()
            .uri(&event(subject), false)
            .map(|uri| uri.to_string())
    }

    #[test]
    fn a_value_is_one_segment_whatever_it_holds() {
        let url = "http://crm:9000/events/{subject}/x?id={id}";
        assert_eq!(path(url, "a").unwrap(), "/events/a/x?id=1");
        assert_eq!(
            path(url, "a/../b?c#d e\u{e9}").unwrap(),
            "/events/a%2F..%2Fb%3Fc%23d%20e%C3%A9/x?id=1"
        );
        for subject in [".", ".."] {
            let error = path(url, subject).unwrap_err();
            assert_eq!(error.reason, Reason::Address);
        }
    }

    #[test]
    fn a_missing_value_is_the_event_s_fault_and_named() {
        let none = EventBuilder::new().id("1").source("/s").ty("t").build().unwrap();
        let error = Target::parse("http://h/{subject}")
            .unwrap()
            .uri(&none, false)
            .unwrap_err();
        assert_eq!(
            (error.fault, error.reason),
            (weft_api::outcome::Fault::Event, Reason::Address)
        );
        assert!(error.detail.contains("subject"), "{error}");
    }

    #[test]
    fn host_and_port_come_from_the_file_only() {
        let target = Target::parse("http://crm:9000").unwrap();
        assert_eq!(target.connect_to(), ("crm", 9000));
        assert_eq!(target.uri(&event("x"), false).unwrap(), "/");
        assert_eq!(target.uri(&event("x"), true).unwrap(), "http://crm:9000/");
        assert_eq!(
            Target::parse("http://[::1]:80/").unwrap().connect_to(),
            ("::1", 80)
        );
        assert_eq!(
            Target::parse("http://crm?x=1")
                .unwrap()
                .uri(&event("x"), false)
                .unwrap(),
            "/?x=1"
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_remedy() {
        for (url, word) in [
            ("https://crm/", "https"),
            ("crm:9000", "no http URL"),
            ("ftp://crm", "no http URL"),
            ("http://{subject}/", "host"),
            ("http://a:b@crm/", "credentials"),
            ("http://crm/#x", "fragment"),
            ("http://", "host"),
            ("http://crm:99999/", "host or port"),
            ("http://crm/a b", "cannot be sent"),
            ("http://crm/{nothing here}", "column"),
        ] {
            let (what, remedy) = Target::parse(url).unwrap_err();
            assert!(what.contains(word), "{url}: {what}");
            assert!(!remedy.is_empty());
        }
    }
}
