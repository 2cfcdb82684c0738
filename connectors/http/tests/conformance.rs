//! The suite of every connector: clients over TCP that remember their answers, and a scripted server that remembers what
//! it took.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, block_in_place};
use weft_api::connector::{Connector, IngressSettings};
use weft_api::egress::Egress;
use weft_api::event::header::{decode_value, encode_value};
use weft_api::event::json::{decode, decode_batch};
use weft_api::event::{AttrKind, CLOUDEVENTS_BATCH_JSON, CLOUDEVENTS_JSON, Event, EventBuilder};
use weft_api::ingress::{Ingress, Window};
use weft_conformance::events::plain;
use weft_conformance::{EgressSubject, IngressSubject, Remote, Shape, TooLarge};
use weft_http::Http;
use weft_rig::{Receiver, Reply, Request, free_port};

/// `limits.event` here.
const EVENT_MAX: usize = 1 << 20;
/// Connections of a burst.
const CLIENTS: usize = 64;
/// How long a client goes on trying to connect: an ingress that was just started does not listen yet.
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);
/// How late a slow receiver answers; the egress' time-out is a second.
const SLOW: Duration = Duration::from_millis(300);
/// What the receiver takes, where a case asks for a limit.
const BODY_MAX: usize = 100_000;

const A_CLIENT: &str = "its remote is a client, which sends again when it was told so, or was told nothing";

struct In {
    port: u16,
    answers: Arc<Answers>,
}

/// How many requests were answered so.
#[derive(Default)]
struct Answers {
    success: AtomicUsize,
    refused: AtomicUsize,
}

#[async_trait]
impl IngressSubject for In {
    fn name(&self) -> &'static str {
        "http"
    }

    fn waives(&self, case: &str) -> Option<&'static str> {
        match case {
            "what_was_released_in_the_middle_comes_again_and_nothing_before_it"
            | "a_cut_connection_loses_nothing"
            | "a_reconnect_repeats_only_what_was_not_acknowledged"
            | "a_killed_remote_loses_nothing"
            | "a_remote_that_is_away_at_the_start_is_waited_for"
            | "a_stop_while_the_remote_is_away_returns_in_time" => Some(A_CLIENT),
            "a_full_window_opens_by_exactly_what_was_settled"
            | "no_more_bytes_are_taken_than_the_window_allows" => Some(
                "the router counts the window of a request lane and refuses; nothing waits in the connector",
            ),
            _ => None,
        }
    }

    fn ingress(&self, window: Option<Window>) -> Box<dyn Ingress> {
        let section = json!({ "listen": format!("127.0.0.1:{}", self.port), "workers": 2 });
        let settings = IngressSettings {
            window,
            event_max: EVENT_MAX as u64,
            client_memory: 8 * EVENT_MAX as u64,
            ..support::ingress_settings()
        };
        let builder = Http.ingress(&support::node(section), &settings).unwrap().unwrap();
        builder.build().unwrap()
    }

    fn shape(&self) -> Shape {
        Shape::Request
    }

    async fn inject(&self, event: &Event) {
        self.ask(request(event)).await;
    }

    async fn inject_all(&self, events: &[Event]) {
        let room = Arc::new(Semaphore::new(CLIENTS));
        let mut clients = JoinSet::new();
        for event in events {
            let (room, request) = (Arc::clone(&room), request(event));
            let (port, answers) = (self.port, Arc::clone(&self.answers));
            clients.spawn(async move {
                let _room = room.acquire().await.unwrap();
                if let Some(tcp) = send(port, &request).await {
                    answers.hear(tcp).await;
                }
            });
        }
        clients.join_all().await;
    }

    async fn inject_malformed(&self, body: &[u8]) -> bool {
        let mut request = head(
            &[
                ("ce-id", "1"),
                ("ce-source", "/s"),
                ("ce-type", "t"),
                ("ce-time", "noon"),
            ],
            body,
        );
        request.extend_from_slice(body);
        self.ask(request).await;
        true
    }

    async fn acknowledged(&self) -> usize {
        self.answers.success.load(Ordering::SeqCst)
    }

    async fn refused(&self) -> Option<usize> {
        Some(self.answers.refused.load(Ordering::SeqCst))
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX
    }

    fn event_max(&self) -> usize {
        EVENT_MAX
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Refused
    }
}

impl In {
    /// Sends a request, whose answer is waited for elsewhere.
    async fn ask(&self, request: Vec<u8>) {
        if let Some(tcp) = send(self.port, &request).await {
            let answers = Arc::clone(&self.answers);
            tokio::spawn(async move { answers.hear(tcp).await });
        }
    }
}

impl Answers {
    /// Reads the status of an answer; a connection that ends without one tells nothing.
    async fn hear(&self, tcp: TcpStream) {
        let mut line = String::new();
        let Ok(1..) = BufReader::new(tcp).read_line(&mut line).await else {
            return;
        };
        match line.split(' ').nth(1).and_then(|status| status.parse().ok()) {
            Some(200..300_u16) => self.success.fetch_add(1, Ordering::SeqCst),
            // These say that it is to be sent again.
            Some(408 | 425 | 429 | 503 | 504) => 0,
            Some(400..500) => self.refused.fetch_add(1, Ordering::SeqCst),
            other => panic!("an answer that the documentation does not have: {other:?}"),
        };
    }
}

/// `None`: nobody listens.
async fn send(port: u16, request: &[u8]) -> Option<TcpStream> {
    let end = Instant::now() + CONNECTS_WITHIN;
    let mut tcp = loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(tcp) => break tcp,
            Err(_) if Instant::now() > end => return None,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    // The server may refuse before it has read everything; its answer says so.
    let _ = tcp.write_all(request).await;
    Some(tcp)
}

fn head(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!(
        "POST / HTTP/1.1\r\nhost: weft\r\nconnection: close\r\nce-specversion: 1.0\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    (text + "\r\n").into_bytes()
}

/// An event in binary mode.
fn request(event: &Event) -> Vec<u8> {
    let headers: Vec<(String, String)> = event
        .attributes()
        .map(|(name, value)| match name {
            "datacontenttype" => ("content-type".to_owned(), value.text.to_owned()),
            name => (format!("ce-{name}"), encode_value(value.text).into_owned()),
        })
        .collect();
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let body = event.data().map(|data| &data[..]).unwrap_or_default();
    let mut request = head(&headers, body);
    request.extend_from_slice(body);
    request
}

/// How events travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// HTTP/1.1, one event a request.
    One,
    /// HTTP/1.1, many events a request.
    Batch,
    /// HTTP/2, one event a request, all on one connection.
    Two,
}

struct Out {
    receiver: Mutex<Receiver>,
    way: Way,
    script: Arc<Script>,
}

/// How the receiver answers, and what it took.
struct Script {
    remote: Mutex<Remote>,
    poison: Mutex<Option<String>>,
    body_max: AtomicUsize,
    taken: Mutex<Vec<Event>>,
    /// When the requests of the last `SLOW` came: none of them can be answered yet.
    unanswered: Mutex<VecDeque<(Instant, usize)>>,
    most_unanswered: AtomicUsize,
}

#[async_trait]
impl EgressSubject for Out {
    fn name(&self) -> &'static str {
        match self.way {
            Way::One => "http",
            Way::Batch => "http batch",
            Way::Two => "http/2",
        }
    }

    fn egress(&self) -> Box<dyn Egress> {
        let mode = match self.way {
            Way::Batch => "batch",
            _ => "binary",
        };
        let url = self.receiver.lock().unwrap().url("/events");
        let section = json!({ "url": url, "mode": mode, "timeout": "1s", "http2": self.way == Way::Two });
        support::egress(section).build().unwrap()
    }

    async fn set(&self, remote: Remote) -> bool {
        let before = std::mem::replace(&mut *self.script.remote.lock().unwrap(), remote);
        if remote == Remote::Gone {
            self.kill().await;
        } else if before == Remote::Gone {
            self.restart().await;
        }
        true
    }

    async fn received(&self) -> Vec<Event> {
        self.script.taken.lock().unwrap().clone()
    }

    async fn poison(&self, id: &str) -> Option<Event> {
        *self.script.poison.lock().unwrap() = Some(id.to_owned());
        Some(plain(id))
    }

    async fn limit(&self) -> Option<(usize, String)> {
        self.script.body_max.store(BODY_MAX, Ordering::SeqCst);
        Some((BODY_MAX, BODY_MAX.to_string()))
    }

    async fn most_unanswered(&self) -> Option<usize> {
        Some(self.script.most_unanswered.load(Ordering::SeqCst))
    }

    async fn cut(&self) -> bool {
        self.kill().await;
        self.restart().await;
        true
    }

    async fn kill(&self) -> bool {
        block_in_place(|| self.receiver.lock().unwrap().close());
        true
    }

    async fn restart(&self) {
        block_in_place(|| self.receiver.lock().unwrap().open());
    }

    fn keeps_types(&self) -> bool {
        // JSON tells numbers and booleans from text, and nothing else.
        false
    }

    fn data_max(&self) -> usize {
        EVENT_MAX
    }
}

impl Script {
    fn answer(&self, request: &Request) -> Reply {
        let events = events(request);
        if request.body.len() > self.body_max.load(Ordering::SeqCst) {
            return Reply::status(413).body(format!("at most {BODY_MAX} bytes"));
        }
        let poison = self.poison.lock().unwrap().clone();
        if events.iter().any(|event| Some(event.id()) == poison.as_deref()) {
            return Reply::status(422);
        }
        let remote = *self.remote.lock().unwrap();
        match remote {
            Remote::Accepts => self.take(events),
            Remote::Slow => {
                self.count(events.len());
                self.take(events).after(SLOW)
            }
            Remote::Refuses => Reply::status(422),
            Remote::Fails => Reply::status(500),
            Remote::Overloaded => Reply::status(503).header("retry-after", "1"),
            Remote::Unauthorised => Reply::status(401),
            Remote::Missing => Reply::status(404),
            Remote::Silent | Remote::Gone => Reply::hang(),
        }
    }

    fn take(&self, events: Vec<Event>) -> Reply {
        self.taken.lock().unwrap().extend(events);
        Reply::status(204)
    }

    fn count(&self, events: usize) {
        let mut unanswered = self.unanswered.lock().unwrap();
        let now = Instant::now();
        while unanswered.front().is_some_and(|(at, _)| now - *at >= SLOW) {
            unanswered.pop_front();
        }
        unanswered.push_back((now, events));
        let all = unanswered.iter().map(|(_, events)| events).sum();
        self.most_unanswered.fetch_max(all, Ordering::SeqCst);
    }
}

/// What a request carries.
fn events(request: &Request) -> Vec<Event> {
    match request.header("content-type") {
        Some(kind) if kind.starts_with(CLOUDEVENTS_BATCH_JSON) => decode_batch(&request.body, 1000).unwrap(),
        Some(kind) if kind.starts_with(CLOUDEVENTS_JSON) => vec![decode(&request.body).unwrap()],
        _ => vec![binary(request)],
    }
}

fn binary(request: &Request) -> Event {
    let mut builder = EventBuilder::new();
    for (name, value) in &request.headers {
        match name.as_str() {
            "ce-specversion" => {}
            "content-type" => _ = builder.datacontenttype(value),
            name => {
                if let Some(name) = name.strip_prefix("ce-") {
                    builder.set(name, AttrKind::String, &decode_value(value.as_bytes()).unwrap());
                }
            }
        }
    }
    if !request.body.is_empty() {
        builder.data(Bytes::clone(&request.body));
    }
    builder.build().unwrap()
}

async fn ingress() -> In {
    In {
        port: free_port(),
        answers: Arc::default(),
    }
}

async fn egress(way: Way) -> Out {
    let script = Arc::new(Script {
        remote: Mutex::new(Remote::Accepts),
        poison: Mutex::default(),
        body_max: AtomicUsize::new(usize::MAX),
        taken: Mutex::default(),
        unanswered: Mutex::default(),
        most_unanswered: AtomicUsize::new(0),
    });
    let receiver = block_in_place(Receiver::start);
    let answering = Arc::clone(&script);
    receiver.respond(move |request| answering.answer(request));
    Out {
        receiver: Mutex::new(receiver),
        way,
        script,
    }
}

mod taking {
    weft_conformance::ingress_suite!(|_| super::ingress());
}

mod delivering {
    weft_conformance::egress_suite!(|_| super::egress(super::Way::One));
}

mod delivering_batches {
    weft_conformance::egress_suite!(|_| super::egress(super::Way::Batch));
}

mod delivering_over_http2 {
    weft_conformance::egress_suite!(|_| super::egress(super::Way::Two));
}
