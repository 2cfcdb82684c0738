//! What requests become, and what each verdict is answered with, over real sockets.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::client::{Client, ask, binary, request};
use support::{Reply, Router, Server, Setup, accepted, verdict};
use weft_api::event::{Attributes, Event};
use weft_api::ingress::{Incoming, Verdict};
use weft_api::mapping::Accept;
use weft_api::outcome::{Outcome, Reason};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

fn ext<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.get(name).map(|value| value.text)
}

fn no_dead_letter(incoming: &Incoming) -> Reply {
    Reply::Now(verdict(if incoming.malformed {
        Outcome::Rejected(Reason::Malformed)
    } else {
        Outcome::Accepted
    }))
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
async fn a_batch_that_was_taken_says_so_shortly() {
    let router = Router::new(|incoming| {
        let stored = incoming.event.id() == "s";
        Reply::Now(Verdict {
            stored,
            ..verdict(Outcome::Accepted)
        })
    });
    let server = Server::start(json!({}), router.clone()).await;
    let one = |id| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t"}}"#);
    let mut client = Client::connect(&server.address).await;
    let answer = client
        .ask(request(
            "POST",
            "/",
            &[BATCH],
            &format!("[{},{}]", one("a"), one("b")),
        ))
        .await;
    assert_eq!((answer.status, answer.header("weft-matched")), (204, Some("2")));
    let answer = client
        .ask(request(
            "POST",
            "/",
            &[BATCH],
            &format!("[{},{}]", one("a"), one("s")),
        ))
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["events"][1]["status"], 202);
    assert_eq!(client.ask(request("POST", "/", &[BATCH], "[]")).await.status, 204);
}

#[tokio::test]
async fn each_verdict_has_its_answer() {
    let router = Router::new(|incoming| {
        Reply::Now(match incoming.event.id() {
            "delivered" => verdict(Outcome::Accepted),
            "stored" => Verdict {
                stored: true,
                ..verdict(Outcome::Accepted)
            },
            "unmatched" => Verdict {
                matched: 0,
                ..verdict(Outcome::Accepted)
            },
            "rejected" => verdict(Outcome::Rejected(Reason::Refused)),
            "released" => verdict(Outcome::Released(Reason::Unavailable)),
            _ => verdict(Outcome::Unknown(Reason::Deadline)),
        })
    });
    let server = Server::start(json!({}), router).await;
    let mut client = Client::connect(&server.address).await;
    for (id, status, kind, matched) in [
        ("delivered", 204, "", "1"),
        ("stored", 202, "", "1"),
        ("unmatched", 204, "", "0"),
        ("rejected", 422, "urn:weft:problem:rejected", "1"),
        ("released", 503, "urn:weft:problem:released", "1"),
        ("unknown", 504, "urn:weft:problem:unknown", "1"),
    ] {
        let text = format!(
            "POST / HTTP/1.1\r\nhost: h\r\nce-specversion: 1.0\r\nce-id: {id}\r\nce-source: /s\r\nce-type: t\r\n\r\n"
        );
        let answer = client.ask(text).await;
        assert_eq!(
            (answer.status, answer.header("weft-matched")),
            (status, Some(matched)),
            "{id}"
        );
        if kind.is_empty() {
            assert!(answer.body.is_empty());
        } else {
            assert_eq!(answer.json()["type"], kind);
            assert!(answer.detail().contains(": "), "no advice: {}", answer.detail());
        }
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{id}");
    }
}

#[tokio::test]
async fn nothing_is_answered_before_the_verdict() {
    let (say, later) = tokio::sync::oneshot::channel();
    let later = std::sync::Mutex::new(Some(later));
    let router = Router::new(move |_| Reply::Later(later.lock().unwrap().take().unwrap()));
    let server = Server::start(json!({}), router.clone()).await;
    let mut client = Client::connect(&server.address).await;
    client.send(binary(&[], "x")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), client.answer()).await;
    assert!(early.is_err(), "answered early: {early:?}");
    say.send(verdict(Outcome::Accepted)).unwrap();
    assert_eq!(client.answer().await.unwrap().status, 204);
}

#[tokio::test]
async fn a_request_that_is_no_event_is_shown_the_line_that_would_work() {
    let router = Router::new(no_dead_letter);
    let server = Server::start(json!({ "path": "/events" }), router.clone()).await;
    let plain = request(
        "POST",
        "/events",
        &[("content-type", "application/json")],
        r#"{"hello":1}"#,
    );
    let answer = ask(&server.address, plain).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (400, Some("application/problem+json"))
    );
    let line = answer.json()["example"].as_str().unwrap().to_owned();
    assert!(answer.detail().contains(&line));
    let kept = router.seen().remove(0).incoming;
    assert!(kept.malformed && kept.event.data().unwrap() == r#"{"hello":1}"#);
    // What the line says, sent as curl sends it.
    assert!(line.starts_with("curl 'http://localhost/events' "), "{line}");
    let headers: Vec<(&str, &str)> = line
        .split('\'')
        .filter_map(|part| part.split_once(": "))
        .collect();
    assert_eq!(headers.len(), 5, "{line}");
    assert_eq!(
        ask(
            &server.address,
            request("POST", "/events", &headers, r#"{"hello":1}"#)
        )
        .await
        .status,
        204
    );
    assert_eq!(router.seen()[1].incoming.event.id(), "1");
}

#[tokio::test]
async fn a_host_header_cannot_put_shell_syntax_into_the_example() {
    let server = Server::start(json!({}), Router::new(no_dead_letter)).await;
    let answer = ask(
        &server.address,
        "POST / HTTP/1.1\r\nhost: x$(reboot)\r\ncontent-length: 1\r\n\r\nx",
    )
    .await;
    let line = answer.json()["example"].as_str().unwrap().to_owned();
    assert!(
        line.contains(&server.address) && !line.contains("reboot"),
        "{line}"
    );
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
async fn malformed_input_reaches_the_router_and_is_answered_by_its_fate() {
    let router = Router::new(|incoming| {
        assert!(incoming.malformed);
        let kept = incoming.event.data().is_some_and(|data| &data[..] == b"keep");
        Reply::Now(verdict(if kept {
            Outcome::Accepted
        } else {
            Outcome::Rejected(Reason::Malformed)
        }))
    });
    let server = Server::start(json!({}), router.clone()).await;
    let mut client = Client::connect(&server.address).await;
    let bad = |body| {
        binary(
            &[
                ("ce-time", "yesterday"),
                ("authorization", "Bearer secret"),
                ("x-own", "1"),
            ],
            body,
        )
    };
    let answer = client.ask(bad("drop")).await;
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (400, Some("urn:weft:problem:malformed"))
    );
    assert!(answer.detail().contains("\"time\""), "{}", answer.detail());
    let answer = client.ask(bad("keep")).await;
    assert_eq!(
        (answer.status, answer.json()["kept"].as_bool()),
        (202, Some(true))
    );
    let event = router.seen()[1].incoming.event.clone();
    assert_eq!(
        (event.ty(), event.source()),
        ("weft.malformed", "weft://paris/app")
    );
    assert!(ext(&event, "weftreason").unwrap().contains("time"));
    let headers = ext(&event, "weftheaders").unwrap();
    assert!(
        headers.contains("x-own") && !headers.contains("secret"),
        "{headers}"
    );
}

#[tokio::test]
async fn what_breaks_the_binding_is_named() {
    let router = Router::new(|_| Reply::Now(verdict(Outcome::Rejected(Reason::Malformed))));
    let server = Server::start(json!({}), router).await;
    let mut client = Client::connect(&server.address).await;
    for (request, word) in [
        (binary(&[("ce-id", "2")], ""), "\"ce-id\" comes more than once"),
        (binary(&[("ce-datacontenttype", "a/b")], ""), "ce-datacontenttype"),
        (
            request(
                "POST",
                "/",
                &[("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")],
                "",
            ),
            "ce-specversion",
        ),
        (
            request(
                "POST",
                "/",
                &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t")],
                "",
            ),
            "\"source\"",
        ),
        (binary(&[("ce-subject", "%C0%A0")], ""), "UTF-8"),
        (binary(&[("ce-subject", "a%0Ab")], ""), "control character"),
        (binary(&[("ce-foo-bar", "x")], ""), "foo-bar"),
        (
            binary(&[("content-type", "text/plain"), ("content-type", "a/b")], ""),
            "content-type",
        ),
        (request("POST", "/", &[STRUCTURED], "{"), "JSON"),
        (request("POST", "/", &[BATCH], r#"[{"specversion":"1.0"}]"#), "0"),
    ] {
        let answer = client.ask(&request).await;
        assert_eq!(answer.status, 400, "{request}");
        assert!(
            answer.detail().contains(word),
            "{word:?} is not in {:?}",
            answer.detail()
        );
    }
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
