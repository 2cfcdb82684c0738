//! The far end of the HTTP scenarios: answers every POST with 204, checks that it is an event of ours, and counts.
//! `GET /` tells the counts. It takes one thread, so that it leaves the cores to what is measured.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use weft_scenarios::event::Seen;
use weft_scenarios::{Failure, event, serve, tool};

/// Requests that are kept for a look, by `GET /last`.
const KEPT: usize = 4;

/// Counts events that come by HTTP.
#[derive(Parser)]
struct Args {
    /// Where it listens, on loopback.
    #[arg(long)]
    port: u16,
}

struct Sink {
    data: Vec<u8>,
    attributes: Vec<(String, &'static str)>,
    requests: Cell<usize>,
    changed: Cell<usize>,
    seen: RefCell<Seen>,
    last: RefCell<VecDeque<(HeaderMap, Bytes)>>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let worker = || Sink {
        data: event::data(),
        attributes: event::ATTRIBUTES
            .map(|(name, value)| (format!("ce-{name}"), value))
            .into(),
        requests: Cell::new(0),
        changed: Cell::new(0),
        seen: RefCell::default(),
        last: RefCell::default(),
    };
    serve::serve(args.port, 1, worker, answer)?;
    Ok(())
}

async fn answer(sink: Rc<Sink>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        let text = if request.uri().path() == "/last" {
            sink.kept()
        } else {
            sink.counts()
        };
        return Response::new(Full::new(text.into()));
    }
    let (head, body) = request.into_parts();
    let mut answer = Response::new(Full::default());
    match body.collect().await {
        Ok(body) => sink.take(head.headers, body.to_bytes()),
        Err(_) => *answer.status_mut() = StatusCode::BAD_REQUEST,
    }
    if answer.status() == StatusCode::OK {
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    answer
}

impl Sink {
    fn take(&self, headers: HeaderMap, body: Bytes) {
        self.requests.set(self.requests.get() + 1);
        match self.number(&headers, &body) {
            Some(number) => self.seen.borrow_mut().add(number),
            None => self.changed.set(self.changed.get() + 1),
        }
        let mut last = self.last.borrow_mut();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back((headers, body));
    }

    /// Which event it is, if it is one of ours as it was sent.
    fn number(&self, headers: &HeaderMap, body: &Bytes) -> Option<usize> {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|v| v == value);
        let whole = *body == self.data
            && is(CONTENT_TYPE.as_str(), event::CONTENT_TYPE)
            && self.attributes.iter().all(|(name, value)| is(name, value));
        headers
            .get("ce-id")
            .filter(|_| whole)
            .and_then(|id| event::number(id.as_bytes()))
    }

    fn counts(&self) -> String {
        let (requests, changed) = (self.requests.get(), self.changed.get());
        format!(
            "requests={requests} changed={changed} events={}",
            self.seen.borrow().count()
        )
    }

    fn kept(&self) -> String {
        self.last
            .borrow()
            .iter()
            .fold(String::new(), |mut text, (headers, body)| {
                let _ = writeln!(text, "{headers:#?}\n{}\n", body.escape_ascii());
                text
            })
    }
}
