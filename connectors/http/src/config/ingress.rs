//! `ingress.NAME.http`.

use std::num::NonZeroUsize;
use std::str::FromStr;

use http::{HeaderValue, Method};
use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{ByteSize, Finding, HumanDuration, Node, decode};

use super::{Findings, OneOrMany};

/// Without `workers`: one a core, at most this many.
const WORKERS_DEFAULT_MAX: usize = 4;
const WORKERS_MAX: u16 = 256;
/// What hyper needs at least; a head with the usual headers and a few attributes.
const HEADER_BYTES_MIN: u64 = 8 * 1024;
const HEADER_BYTES_MAX: u64 = 1024 * 1024;
/// A batch may be this large even where single events may not.
const BATCH_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Takes events over HTTP/1.1 and HTTP/2 (prior knowledge) on the same port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngressSection {
    /// Where to listen, `ADDRESS:PORT`; one or several.
    pub(crate) listen: OneOrMany<String>,
    /// The path or paths that take events, exactly as written.
    #[serde(default = "root")]
    pub(crate) path: OneOrMany<String>,
    /// The methods that carry events.
    #[serde(default = "methods")]
    methods: Vec<String>,
    /// Threads that serve; by default one a core, at most 4.
    #[serde(default)]
    workers: Option<u16>,
    /// How long a client waits for its answer; after that it gets 504 and sends again under the same id.
    #[serde(default = "seconds::<30>")]
    pub(crate) deadline: HumanDuration,
    /// How long a request's head may take to arrive; also a connection's first word.
    #[serde(default = "seconds::<10>")]
    pub(crate) header_timeout: HumanDuration,
    /// How long a request's body may take to arrive.
    #[serde(default = "seconds::<30>")]
    pub(crate) body_timeout: HumanDuration,
    /// How long a connection may stay open without a request.
    #[serde(default = "seconds::<75>")]
    pub(crate) idle_timeout: HumanDuration,
    /// Most connections, over all workers; more are answered 503.
    #[serde(default = "connections")]
    pub(crate) max_connections: u32,
    /// Largest head of a request: its first line and all headers.
    #[serde(default = "header_bytes")]
    pub(crate) max_header_bytes: ByteSize,
    /// Most requests at a time on one HTTP/2 connection.
    #[serde(default = "streams")]
    pub(crate) http2_max_streams: u32,
    /// Bounds of batched mode.
    #[serde(default)]
    pub(crate) batch: BatchSection,
    /// Origins that may register by the webhook handshake (an OPTIONS request); `*` for all, none by default.
    #[serde(default)]
    pub(crate) webhook_origins: Vec<String>,
}

/// Bounds of one batch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchSection {
    /// Most events.
    #[serde(default = "batch_events")]
    pub(crate) events: u32,
    /// Largest body; by default 4 MiB, or `limits.event` where that is more.
    #[serde(default)]
    bytes: Option<ByteSize>,
}

impl Default for BatchSection {
    fn default() -> BatchSection {
        BatchSection {
            events: batch_events(),
            bytes: None,
        }
    }
}

fn root() -> OneOrMany<String> {
    OneOrMany::one("/".into())
}
fn methods() -> Vec<String> {
    vec!["POST".into(), "PUT".into()]
}
fn seconds<const N: u64>() -> HumanDuration {
    HumanDuration::from_secs(N)
}
fn connections() -> u32 {
    4096
}
fn header_bytes() -> ByteSize {
    ByteSize(32 * 1024)
}
fn streams() -> u32 {
    256
}
fn batch_events() -> u32 {
    500
}

impl IngressSection {
    /// Reads and checks the section.
    pub(crate) fn read(section: &Node) -> Result<IngressSection, Vec<Finding>> {
        let read: IngressSection = decode(section)?;
        read.check(section).map(|()| read)
    }

    fn check(&self, section: &Node) -> Result<(), Vec<Finding>> {
        let mut found = Findings::new(section);
        for listen in self.listen.as_slice() {
            let port = listen
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .and_then(|(_, port)| port.parse::<u16>().ok());
            let what = format!("{listen:?} is no address to listen on");
            found.require(
                port.is_some(),
                "listen",
                what,
                "write ADDRESS:PORT, such as 127.0.0.1:8080 or 0.0.0.0:8080",
            );
        }
        for path in self.path.as_slice() {
            let legal = path.starts_with('/') && path.bytes().all(is_path_byte);
            let what = format!("{path:?} is no path");
            found.require(
                legal,
                "path",
                what,
                "write it as clients send it: it begins with / and has no query, such as /events",
            );
        }
        found.require(
            !self.methods.is_empty(),
            "methods",
            "no method is left",
            "leave the key out for POST and PUT",
        );
        for method in &self.methods {
            let legal = matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE" | "GET");
            let what = format!("{method:?} is no method that can carry events");
            found.require(
                legal,
                "methods",
                what,
                "use some of POST, PUT, PATCH, DELETE, GET",
            );
        }
        let workers = self.workers.unwrap_or(1);
        let what = format!("{workers} workers");
        found.require(
            (1..=WORKERS_MAX).contains(&workers),
            "workers",
            what,
            format!("use 1 to {WORKERS_MAX}"),
        );
        for (key, time) in [
            ("deadline", self.deadline),
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            found.require(
                !time.get().is_zero(),
                key,
                "a time of zero would refuse everything",
                "use 1s or more",
            );
        }
        for (key, count) in [
            ("max_connections", self.max_connections),
            ("http2_max_streams", self.http2_max_streams),
        ] {
            found.require(count > 0, key, "zero would refuse everything", "use 1 or more");
        }
        let header = self.max_header_bytes.get();
        found.require(
            (HEADER_BYTES_MIN..=HEADER_BYTES_MAX).contains(&header),
            "max_header_bytes",
            format!("{} is out of bounds", self.max_header_bytes),
            "use 8KiB to 1MiB",
        );
        let empty = self.batch.events == 0 || self.batch.bytes.is_some_and(|bytes| bytes.get() == 0);
        found.require(
            !empty,
            "batch",
            "a batch of nothing would refuse everything",
            "use 1 event and 1KiB or more",
        );
        for origin in &self.webhook_origins {
            let legal = HeaderValue::from_str(origin).is_ok() && !origin.is_empty();
            found.require(
                legal,
                "webhook_origins",
                format!("{origin:?} is no origin"),
                "write a host name such as events.example.com, or *",
            );
        }
        found.finish()
    }

    pub(crate) fn workers(&self) -> usize {
        let cores = || {
            std::thread::available_parallelism()
                .map_or(1, NonZeroUsize::get)
                .min(WORKERS_DEFAULT_MAX)
        };
        self.workers.map_or_else(cores, usize::from)
    }

    pub(crate) fn methods(&self) -> Vec<Method> {
        // Checked by `check`; what is no method cannot get here.
        self.methods
            .iter()
            .filter_map(|method| Method::from_str(method).ok())
            .collect()
    }

    pub(crate) fn allow(&self) -> HeaderValue {
        HeaderValue::from_str(&self.methods.join(", ")).unwrap_or(HeaderValue::from_static("POST"))
    }

    pub(crate) fn batch_bytes(&self, event_max: u64) -> u64 {
        self.batch
            .bytes
            .map_or(event_max.max(BATCH_BYTES_MIN), ByteSize::get)
    }
}

/// What RFC 3986 section 3.3 lets stand in a path.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~!$&()*+,;=:@%".contains(&byte)
}
