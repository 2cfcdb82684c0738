//! `destinations.NAME.http`.

use std::collections::BTreeMap;

use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{Finding, HumanDuration, Node, decode};

use super::{Findings, place};
use crate::egress::headers::Headers;
use crate::egress::target::Target;

const CONCURRENCY_MAX: u32 = 4096;

/// Delivers events over HTTP/1.1, or HTTP/2 with prior knowledge.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressSection {
    /// Where to deliver, `http://HOST[:PORT]/PATH`; path and query may have templates, whose values are
    /// percent-encoded as one segment each.
    pub(crate) url: String,
    /// The request's method.
    #[serde(default = "post")]
    method: String,
    /// How an event is carried.
    #[serde(default)]
    pub(crate) mode: SendMode,
    /// Further headers; values may have templates.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How long one delivery may take, connecting included.
    #[serde(default = "seconds::<10>")]
    pub(crate) timeout: HumanDuration,
    /// How long connecting may take.
    #[serde(default = "seconds::<3>")]
    pub(crate) connect_timeout: HumanDuration,
    /// How long a connection is kept without a request; less than the receiver keeps it. Its `Keep-Alive` header
    /// shortens this.
    #[serde(default = "seconds::<4>")]
    pub(crate) idle_timeout: HumanDuration,
    /// Most requests at a time, and most connections that are kept.
    #[serde(default = "concurrency")]
    pub(crate) concurrency: u32,
    /// Packs bodies with gzip.
    #[serde(default)]
    pub(crate) gzip: bool,
    /// Speaks HTTP/2 without asking first; the receiver must, too.
    #[serde(default)]
    pub(crate) http2: bool,
}

/// The binding's content modes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SendMode {
    /// Attributes as headers, data as body.
    #[default]
    Binary,
    /// The event as JSON.
    Structured,
    /// Several events as one JSON array; only for receivers that asked for it.
    Batch,
}

fn post() -> String {
    "POST".into()
}
fn seconds<const N: u64>() -> HumanDuration {
    HumanDuration::from_secs(N)
}
fn concurrency() -> u32 {
    64
}

impl EgressSection {
    /// Reads and checks the section.
    pub(crate) fn read(section: &Node) -> Result<EgressSection, Vec<Finding>> {
        for key in ["tls", "auth"] {
            if let Some(node) = section.get(key) {
                let remedy = "take the key away; put a proxy that speaks TLS beside the router, or an authorization header under `headers`";
                return Err(vec![Finding::error(
                    node,
                    format!("http destinations do not speak `{key}` yet"),
                    remedy,
                )]);
            }
        }
        let read: EgressSection = decode(section)?;
        read.check(section).map(|()| read)
    }

    fn check(&self, section: &Node) -> Result<(), Vec<Finding>> {
        let mut found = Findings::new(section);
        let what = format!("{:?} is no method that carries events", self.method);
        found.require(
            matches!(self.method.as_str(), "POST" | "PUT" | "PATCH"),
            "method",
            what,
            "use POST, PUT or PATCH",
        );
        for (key, time) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            found.require(
                !time.get().is_zero(),
                key,
                "a time of zero would fail every delivery",
                "use 1s or more",
            );
        }
        let what = format!("concurrency {} is out of bounds", self.concurrency);
        let legal = (1..=CONCURRENCY_MAX).contains(&self.concurrency);
        found.require(legal, "concurrency", what, format!("use 1 to {CONCURRENCY_MAX}"));
        let fixed = self.mode != SendMode::Batch || !self.url.contains('{');
        found.require(
            fixed,
            "url",
            "a batch goes to one address, so that a template cannot choose it",
            "use mode: binary or structured",
        );
        let fixed = self.mode != SendMode::Batch || !self.headers.values().any(|value| value.contains('{'));
        found.require(
            fixed,
            "headers",
            "a batch has one set of headers, so that a template cannot fill them",
            "use mode: binary or structured",
        );
        found.finish()
    }

    pub(crate) fn method(&self) -> Method {
        // One of three, by `check`.
        Method::from_bytes(self.method.as_bytes()).unwrap_or(Method::POST)
    }
}

/// Compiles the templates of a section that was read.
pub(crate) fn target_and_headers(
    read: &EgressSection,
    section: &Node,
) -> Result<(Target, Headers), Vec<Finding>> {
    let mut found = Vec::new();
    let target = Target::parse(&read.url)
        .map_err(|(what, remedy)| found.push(Finding::error(place(section, "url"), what, remedy)));
    let mut headers = Headers::default();
    for (name, value) in &read.headers {
        if let Err((what, remedy)) = headers.add(name, value) {
            let node = place(section, "headers");
            found.push(Finding::error(node.get(name).unwrap_or(node), what, remedy));
        }
    }
    match target {
        Ok(target) if found.is_empty() => Ok((target, headers)),
        _ => Err(found),
    }
}
