//! What requests become, over real sockets.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::client::{Client, ask, binary, request};
use support::{Reply, Router, Server, Setup, accepted, verdict};
use weft_api::event::{Attributes, Event};
use weft_api::ingress::Verdict;
use weft_api::mapping::Accept;
use weft_api::outcome::{Outcome, Reason};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

fn ext<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.get(name).map(|value| value.text)
}

#[tokio::test]
async fn binary_mode_carries_every_attribute_and_the_bytes_untouched() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let body = r#"{"a" : 1.10}"#;
    let headers = [
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-time", "2026-01-01T00:00:00.5+02:00"),
        ("CE-TraceId", "\"quoted \\\"x\\\"\""),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let answer = ask(&server.address, binary(&headers, body)).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("weft-matched"), Some("1"));
    let seen = router.seen();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].incoming.malformed);
    assert_eq!(seen[0].deadline, Duration::from_secs(30));
    let event = &seen[0].incoming.event;
    assert_eq!((event.id(), event.source(), event.ty()), ("1", "/s", "t"));
    assert_eq!(event.subject(), Some("Euro \u{20ac} \u{1f600}"));
    assert_eq!(event.time(), Some("2026-01-01T00:00:00.5+02:00"));
    assert_eq!(ext(event, "traceid"), Some("quoted \"x\""));
    assert_eq!(event.datacontenttype(), Some("application/json; charset=utf-8"));
    assert_eq!(event.data().unwrap(), body);
    server.stop().await;
}

#[tokio::test]
async fn a_request_without_a_body_is_an_event_without_data() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    assert_eq!(ask(&server.address, binary(&[], "")).await.status, 204);
    assert_eq!(router.seen()[0].incoming.event.data(), None);
}

#[tokio::test]
async fn structured_mode_carries_the_event_in_the_body() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let body = r#"{"specversion":"1.0","id":"7","source":"/s","type":"t","n":42,"data":{"x":[1]}}"#;
    assert_eq!(
        ask(&server.address, request("PUT", "/", &[STRUCTURED], body))
            .await
            .status,
        204
    );
    let event = router.seen()[0].incoming.event.clone();
    assert_eq!((event.id(), ext(&event, "n")), ("7", Some("42")));
    assert_eq!(event.data().unwrap(), r#"{"x":[1]}"#);
}

#[tokio::test]
async fn a_batch_is_submitted_in_order_and_answers_the_join() {
    let router = Router::new(|incoming| {
        Reply::Now(match incoming.event.id() {
            "b" => verdict(Outcome::Rejected(Reason::Refused)),
            "c" => {
                let wait = Some(Duration::from_millis(2500));
                Verdict {
                    retry_after: wait,
                    ..verdict(Outcome::Released(Reason::Overloaded))
                }
            }
            _ => verdict(Outcome::Accepted),
        })
    });
    let server = Server::start(json!({}), router.clone()).await;
    let one = |id| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t"}}"#);
    let body = format!("[{},{},{},{}]", one("a"), one("b"), one("c"), one("d"));
    let answer = ask(&server.address, request("POST", "/", &[BATCH], &body)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("3")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let told = answer.json();
    let statuses: Vec<_> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [204, 422, 503, 204]);
    assert_eq!(told["events"][2]["reason"], "overloaded");
    assert_eq!(told["events"][1]["id"], "b");
    let order: Vec<_> = router
        .seen()
        .iter()
        .map(|seen| seen.incoming.event.id().to_owned())
        .collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn plain_requests_become_events_where_accept_allows_it() {
    let router = Router::new(|_| accepted());
    let event = json!({ "type": "com.acme.{path[0]}", "subject": "{query.who | else nobody}" });
    let setup = Setup {
        section: json!({ "path": ["/hello", "/bye"] }),
        accept: Some(Accept::Both),
        event: Some(event),
    };
    let server = Server::with(setup, router.clone()).await;
    let mut client = Client::connect(&server.address).await;
    assert_eq!(
        client
            .ask(request(
                "POST",
                "/hello?who=me",
                &[("content-type", "text/plain")],
                "hi"
            ))
            .await
            .status,
        204
    );
    assert_eq!(
        client
            .ask(request("POST", "/bye", &[("idempotency-key", "k1")], "x"))
            .await
            .status,
        204
    );
    assert_eq!(
        client
            .ask(binary(&[], "x").replacen("POST / ", "POST /bye ", 1))
            .await
            .status,
        204
    );
    let seen = router.seen();
    let event = &seen[0].incoming.event;
    assert_eq!(
        (event.ty(), event.subject(), event.source()),
        ("com.acme.hello", Some("me"), "weft://paris/app")
    );
    assert_eq!(
        (event.datacontenttype(), event.data().unwrap().as_ref()),
        (Some("text/plain"), &b"hi"[..])
    );
    let event = &seen[1].incoming.event;
    assert_eq!(
        (event.id(), event.ty(), event.subject()),
        ("k1", "com.acme.bye", Some("nobody"))
    );
    assert_eq!(seen[2].incoming.event.ty(), "t", "a CloudEvent stays what it is");
}

#[tokio::test]
async fn with_accept_plain_even_a_cloudevent_is_data() {
    let router = Router::new(|_| accepted());
    let setup = Setup {
        accept: Some(Accept::Plain),
        ..Setup::default()
    };
    let server = Server::with(setup, router.clone()).await;
    assert_eq!(
        ask(&server.address, request("POST", "/", &[STRUCTURED], "{}"))
            .await
            .status,
        204
    );
    let event = router.seen()[0].incoming.event.clone();
    assert_eq!(
        (event.ty(), event.datacontenttype()),
        ("weft.http.request", Some(STRUCTURED.1))
    );
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_served_on_the_same_port() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let tcp = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(tcp);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut requests, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for id in 0..10 {
        let request = http::Request::post(format!("http://{}/", server.address))
            .header("ce-specversion", "1.0")
            .header("ce-id", id.to_string())
            .header("ce-source", "/s")
            .header("ce-type", "t")
            .body(http_body_util::Full::new(bytes::Bytes::from_static(b"two")))
            .unwrap();
        answers.push(requests.send_request(request));
    }
    for answer in answers {
        let answer = support::soon(answer).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["weft-matched"]),
            (204, &"1".parse().unwrap())
        );
    }
    assert_eq!(router.seen().len(), 10);
    assert!(
        router
            .seen()
            .iter()
            .all(|seen| seen.incoming.event.data().unwrap() == "two")
    );
    assert_eq!(
        ask(&server.address, binary(&[], "one")).await.status,
        204,
        "HTTP/1.1 beside it"
    );
}
