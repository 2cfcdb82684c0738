//! What is sent, over which connection, and what each answer or its absence means.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use support::receiver::{Receiver, Say, status};
use support::{egress, soon};
use weft_api::egress::DirectSend;
use weft_api::event::{Event, EventBuilder};
use weft_api::outcome::{Fault, Reason};

fn event(id: &str) -> Event {
    EventBuilder::new()
        .id(id)
        .source("/s")
        .ty("t")
        .subject("caf\u{e9} 1")
        .datacontenttype("text/plain")
        .extension("myext", "100%")
        .data("hello".into())
        .build()
        .unwrap()
}

fn sender(section: Json) -> Arc<dyn DirectSend> {
    egress(section)
        .build()
        .unwrap()
        .direct()
        .expect("HTTP sends directly")
        .open()
}

fn ok() -> Say {
    status(204, "", "")
}

#[tokio::test]
async fn binary_mode_sends_each_attribute_as_a_header() {
    let receiver = Receiver::start(|_| ok()).await;
    let section = json!({ "url": format!("{}/{{subject}}?t={{type}}", receiver.url()), "headers": { "X-Of": "of {subject}" } });
    soon(sender(section).send(event("1"))).await.unwrap();
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.line(), "POST /events/caf%C3%A9%201?t=t HTTP/1.1");
    for (name, value) in [
        ("host", receiver.address.as_str()),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
        ("ce-subject", "caf%C3%A9%201"),
        ("ce-myext", "100%25"),
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("x-of", "of caf%C3%A9 1"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!(seen.body, b"hello");
}

#[tokio::test]
async fn structured_mode_sends_the_event_as_json() {
    let receiver = Receiver::start(|_| ok()).await;
    soon(sender(json!({ "url": receiver.url(), "mode": "structured", "method": "PUT" })).send(event("1")))
        .await
        .unwrap();
    let seen = receiver.seen().remove(0);
    assert_eq!(seen.line(), "PUT /events HTTP/1.1");
    assert_eq!(seen.header("content-type"), Some("application/cloudevents+json"));
    assert_eq!(
        weft_api::event::json::decode(&seen.body.into()).unwrap(),
        event("1")
    );
}

#[tokio::test]
async fn gzip_packs_what_is_worth_it() {
    let receiver = Receiver::start(|_| ok()).await;
    let sender = sender(json!({ "url": receiver.url(), "gzip": true }));
    soon(sender.send(event("1"))).await.unwrap();
    let large = event("2").edit().data("x".repeat(10_000).into()).build().unwrap();
    soon(sender.send(large)).await.unwrap();
    let seen = receiver.seen();
    assert_eq!(
        (seen[0].header("content-encoding"), seen[0].body.as_slice()),
        (None, &b"hello"[..])
    );
    assert_eq!(seen[1].header("content-encoding"), Some("gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&seen[1].body[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, "x".repeat(10_000));
}

#[tokio::test]
async fn a_connection_is_used_again_after_any_answer_that_ends() {
    let count = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => status(200, "", &"x".repeat(60_000)),
        1 => {
            Say::Bytes(b"HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec())
        }
        2 => status(503, "retry-after: 7\r\n", "busy"),
        _ => ok(),
    })
    .await;
    let sender = sender(json!({ "url": receiver.url() }));
    soon(sender.send(event("0"))).await.unwrap();
    let error = soon(sender.send(event("1"))).await.unwrap_err();
    assert_eq!((error.fault, error.reason), (Fault::Attempt, Reason::Failed));
    assert!(error.detail.contains("(abc)"), "{error}");
    let error = soon(sender.send(event("2"))).await.unwrap_err();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Overloaded)
    );
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert!(
        !error.maybe_delivered && error.detail.contains("(busy)"),
        "{error}"
    );
    for id in ["3", "4"] {
        soon(sender.send(event(id))).await.unwrap();
    }
    assert_eq!(
        receiver
            .seen()
            .iter()
            .map(|seen| seen.connection)
            .collect::<Vec<_>>(),
        [0; 5]
    );
}

#[tokio::test]
async fn an_answer_without_end_is_a_success_on_a_connection_that_is_given_up() {
    let receiver = Receiver::start(|seen| {
        if seen.connection > 0 {
            return ok();
        }
        let mut bytes = b"HTTP/1.1 200 X\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + 100_000, b'x');
        Say::Bytes(bytes)
    })
    .await;
    let sender = sender(json!({ "url": receiver.url() }));
    soon(sender.send(event("1"))).await.unwrap();
    soon(sender.send(event("2"))).await.unwrap();
    assert_eq!(receiver.seen()[1].connection, 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let receiver = Receiver::start(|_| status(307, "location: /elsewhere\r\n", "")).await;
    let error = soon(sender(json!({ "url": receiver.url() })).send(event("1")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.fault, error.reason),
        (Fault::Destination, Reason::Misconfigured)
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_stale_connection_is_replaced_without_anyone_knowing() {
    let receiver = Receiver::start(|seen| match seen.connection {
        0 => Say::Last(b"HTTP/1.1 204 X\r\n\r\n".to_vec()),
        _ => ok(),
    })
    .await;
    let sender = sender(json!({ "url": receiver.url() }));
    soon(sender.send(event("1"))).await.unwrap();
    // The close arrives on its own; until then the next request may still find the old connection.
    tokio::time::sleep(Duration::from_millis(50)).await;
    soon(sender.send(event("2"))).await.unwrap();
    let seen = receiver.seen();
    assert_eq!(
        (seen.len(), seen[1].connection, seen[1].header("ce-id")),
        (2, 1, Some("2"))
    );
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_its_time() {
    let receiver = Receiver::start(|_| ok()).await;
    let sender = sender(json!({ "url": receiver.url(), "idle_timeout": "100ms" }));
    soon(sender.send(event("1"))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    soon(sender.send(event("2"))).await.unwrap();
    assert_eq!(receiver.seen()[1].connection, 1);
}

#[tokio::test]
async fn after_bytes_went_out_a_break_leaves_the_fate_open() {
    let receiver = Receiver::start(|_| Say::Close).await;
    let error = soon(sender(json!({ "url": receiver.url() })).send(event("1")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.fault, error.reason, error.maybe_delivered),
        (Fault::Destination, Reason::Reset, true)
    );
}

#[tokio::test]
async fn no_answer_in_time_leaves_the_fate_open() {
    let receiver = Receiver::start(|_| Say::Nothing).await;
    let sender = sender(json!({ "url": receiver.url(), "timeout": "100ms" }));
    let error = soon(sender.send(event("1"))).await.unwrap_err();
    assert_eq!(
        (error.fault, error.reason, error.maybe_delivered),
        (Fault::Destination, Reason::Timeout, true)
    );
    assert!(error.detail.contains("100ms"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_certainly_not_delivered() {
    let url = format!("http://127.0.0.1:{}/", support::free_port());
    let error = soon(sender(json!({ "url": url })).send(event("1")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.fault, error.reason, error.maybe_delivered),
        (Fault::Destination, Reason::Unavailable, false)
    );
    let error = soon(egress(json!({ "url": url })).build().unwrap().probe())
        .await
        .unwrap_err();
    assert!(error.detail.contains("nothing listens there"), "{error}");
    let receiver = Receiver::start(|_| ok()).await;
    soon(egress(json!({ "url": receiver.url() })).build().unwrap().probe())
        .await
        .unwrap();
    assert!(receiver.seen().is_empty(), "a probe only connects");
}

#[tokio::test]
async fn what_is_no_http_is_an_open_fate_too() {
    let receiver = Receiver::start(|_| Say::Bytes(b"220 smtp.example.com\r\n\r\n".to_vec())).await;
    let error = soon(sender(json!({ "url": receiver.url() })).send(event("1")))
        .await
        .unwrap_err();
    assert_eq!((error.fault, error.maybe_delivered), (Fault::Destination, true));
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_taken_counts() {
    let receiver =
        Receiver::start(|_| Say::Last(b"HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
    let error = soon(sender(json!({ "url": receiver.url() })).send(event("1")))
        .await
        .unwrap_err();
    assert_eq!((error.fault, error.reason), (Fault::Event, Reason::TooLarge));
}

#[tokio::test]
async fn http_2_shares_one_connection_and_survives_its_end() {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let (accepted, closing) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Notify::new()),
    );
    let (count, close) = (accepted.clone(), closing.clone());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let service =
                hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    assert_eq!(request.headers()["ce-type"], "t");
                    assert_eq!(request.uri().path(), "/x");
                    Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(
                        bytes::Bytes::from("ok"),
                    )))
                });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tcp), service);
            let close = close.clone();
            tokio::spawn(async move {
                tokio::select! { _ = connection => {} () = close.notified() => {} }
            });
        }
    });
    let sender = sender(json!({ "url": url, "http2": true }));
    let all: Vec<_> = (0..20)
        .map(|id| tokio::spawn(sender.send(event(&id.to_string()))))
        .collect();
    for one in all {
        soon(one).await.unwrap().unwrap();
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    closing.notify_waiters();
    // Until the close is seen, a request may break; after that a new connection is made.
    soon(async { while sender.send(event("x")).await.is_err() {} }).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}
