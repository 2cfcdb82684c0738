//! HTTP in: requests become events, and each is answered when the router's verdict on its event is known.
//!
//! Owns: listeners, worker threads, connections, limits, and the answers. One acceptor hands connections to workers;
//! a worker serves them in its own thread with its own lane.
//!
//! Must not know: routes, destinations, retries. They stand behind the lane's verdict.

mod accept;
mod activity;
mod answer;
mod body;
mod connection;
mod files;
pub(crate) mod plain;
mod refusal;
mod request;
mod site;
mod webhook;
mod wire;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use tokio::net::TcpListener;
use weft_api::connector::{IngressBuilder, IngressSettings, RawMessage};
use weft_api::event::Event;
use weft_api::ingress::{Incoming, Ingress, IngressContext, IngressError, Window};
use weft_api::mapping::Accept;
use weft_api::status::{Health, Reporter};
use weft_api::stop::{Phase, StopHandle};

use crate::config::IngressSection;
use crate::mapping::{ModeError, mode};
use body::Budget;
use plain::Plain;
use site::{Limits, Site};
use worker::Handle;

/// What a worker's lane may have unsettled, unless the file says otherwise, or memory is short.
const WINDOW: Window = Window {
    events: 2048,
    bytes: 16 * 1024 * 1024,
};
/// Fewer would refuse bursts that harm nobody.
const WINDOW_EVENTS_MIN: u64 = 256;
/// What a request that waits takes beside its event: the buffers of its connection. As much again goes to the connection
/// that carries it on, which is the destination's.
const REQUEST_BYTES: u64 = 8 * 1024;

/// The default window: no more requests, over all workers, than this ingress' part of the memory has connections for.
/// Otherwise a slow destination would fill a small memory with buffers, and no event's bytes would tell.
fn window(client_memory: u64, workers: usize) -> Window {
    let share = client_memory / REQUEST_BYTES / u64::try_from(workers.max(1)).unwrap_or(u64::MAX);
    let events = u32::try_from(share.max(WINDOW_EVENTS_MIN)).unwrap_or(u32::MAX);
    Window {
        events: events.min(WINDOW.events),
        ..WINDOW
    }
}

/// A validated ingress section.
pub(crate) struct Builder {
    section: IngressSection,
    settings: IngressSettings,
    plain: Plain,
}

impl Builder {
    pub(crate) fn new(section: IngressSection, settings: IngressSettings, plain: Plain) -> Builder {
        Builder {
            section,
            settings,
            plain,
        }
    }

    fn site(&self) -> Site {
        let section = &self.section;
        let event_bytes = self.settings.event_max;
        Site {
            listen: section.listen.as_slice().to_vec(),
            paths: section.path.as_slice().to_vec(),
            methods: section.methods(),
            allow: section.allow(),
            webhook_origins: section.webhook_origins.clone(),
            accept: self.settings.accept.unwrap_or(Accept::CloudEvents),
            plain: self.plain.clone(),
            source: self.settings.default_source(),
            reading: Budget::new(
                self.settings
                    .client_memory
                    .max(section.batch_bytes(event_bytes))
                    .max(event_bytes),
            ),
            limits: Limits {
                workers: section.workers(),
                window: self
                    .settings
                    .window
                    .unwrap_or_else(|| window(self.settings.client_memory, section.workers())),
                deadline: section.deadline.get(),
                header_timeout: section.header_timeout.get(),
                body_timeout: section.body_timeout.get(),
                idle_timeout: section.idle_timeout.get(),
                header_bytes: section.max_header_bytes.as_usize(),
                connections: section.max_connections as usize,
                streams: section.http2_max_streams,
                event_bytes,
                batch_bytes: section.batch_bytes(event_bytes),
                batch_events: section.batch.events as usize,
            },
        }
    }
}

impl IngressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Ok(Box::new(HttpIngress(Arc::new(self.site()))))
    }

    fn address(&self) -> String {
        let path = self.section.path.as_slice().first().cloned().unwrap_or_default();
        let all: Vec<String> = self
            .section
            .listen
            .as_slice()
            .iter()
            .map(|at| format!("http://{at}{path}"))
            .collect();
        all.join(", ")
    }

    fn listens(&self) -> bool {
        true
    }

    fn explain(&self, raw: &RawMessage) -> Result<Event, String> {
        let site = self.site();
        let Parts { uri, headers, .. } = described(&site, raw)?;
        let mode = mode(&headers, site.accept).map_err(|error| match error {
            ModeError::Plain => {
                "no CloudEvent, and this ingress takes CloudEvents only: accept: both takes it".to_owned()
            }
            ModeError::Format(media) => format!("event format {media} is not spoken here"),
            ModeError::Charset(name) => format!("charset {name} is not spoken here"),
            ModeError::ContentType => "content-type comes more than once or is no text".to_owned(),
        })?;
        site.event(mode, &uri, &headers, raw.body.clone())
    }

    fn map(&self, raw: &RawMessage) -> Result<Vec<Incoming>, String> {
        let site = self.site();
        let head = described(&site, raw)?;
        request::map(&site, &head, &raw.body)
    }
}

/// The head of the request that a person describes.
fn described(site: &Site, raw: &RawMessage) -> Result<Parts, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &raw.headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("header {name}: its value is not one line of text"))?;
        headers.append(name, value);
    }
    let address = if raw.address.is_empty() {
        site.paths.first().map_or("/", String::as_str)
    } else {
        &raw.address
    };
    let uri: Uri = address
        .parse()
        .map_err(|error| format!("{address:?} is no path: {error}"))?;
    let method = match raw.method.as_str() {
        "" => Method::POST,
        named => named.parse().map_err(|_| format!("{named:?} is no method"))?,
    };
    let (mut head, ()) = Request::new(()).into_parts();
    (head.method, head.uri, head.headers) = (method, uri, headers);
    Ok(head)
}

/// A running HTTP ingress.
struct HttpIngress(Arc<Site>);

#[async_trait]
impl Ingress for HttpIngress {
    async fn run(self: Box<Self>, cx: IngressContext) -> Result<(), IngressError> {
        let site = self.0;
        // Dropped with this future: workers never outlive it.
        let IngressContext {
            name,
            requests,
            stop: stopping,
            report,
            ..
        } = cx;
        let (own, stop) = StopHandle::new();
        let mut workers = Vec::with_capacity(site.limits.workers);
        for index in 0..site.limits.workers {
            let started = worker::start(index, &site, &name, &requests, stop.clone());
            workers.push(
                started.map_err(|error| IngressError(format!("starting worker thread {index}: {error}")))?,
            );
        }
        tokio::select! {
            biased;
            () = stopping.draining() => {}
            error = listen(&site, &workers, &name, &report) => return Err(error),
        }
        own.advance(Phase::Draining);
        tokio::select! {
            biased;
            () = stopping.stopped() => {}
            () = all_ended(&mut workers) => {}
        }
        own.advance(Phase::Stopped);
        all_ended(&mut workers).await;
        // Returning earlier would look like a failure to whoever supervises us.
        stopping.stopped().await;
        Ok(())
    }

    async fn probe(&self) -> Result<(), IngressError> {
        for address in &self.0.listen {
            TcpListener::bind(address).await.map_err(|error| {
                IngressError(format!(
                    "listening on {address}: {error}; {}",
                    accept::remedy(&error)
                ))
            })?;
        }
        Ok(())
    }
}

/// Listens and accepts until something is wrong with us. Dropping it closes the listeners.
async fn listen(site: &Arc<Site>, workers: &[Handle], name: &str, report: &Reporter) -> IngressError {
    let listeners = accept::bind(&site.listen, report).await;
    report.health(Health::Ready);
    tracing::info!(ingress = name, listen = %site.listen.join(","), workers = workers.len(), "listening");
    let error = accept::accept(&listeners, site, workers, report).await;
    IngressError(format!("handing a connection to a worker: {error}"))
}

async fn all_ended(workers: &mut Vec<Handle>) {
    while let Some(worker) = workers.last_mut() {
        // An error says that the sender is gone, which is what we wait for.
        let _ = (&mut worker.ended).await;
        workers.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_window_has_no_more_requests_than_memory_has_connections_for() {
        let mib = 1024 * 1024;
        assert_eq!(window(32 * mib, 2), WINDOW, "256 MiB with one destination");
        assert_eq!(window(8 * mib, 2).events, 512, "64 MiB with one destination");
        assert_eq!(window(32 * mib, 4).events, 1024);
        assert_eq!(window(mib, 4).events, 256, "never less");
        assert_eq!(window(1 << 40, 1), WINDOW, "never more");
    }
}
