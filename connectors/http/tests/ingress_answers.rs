//! What each verdict, and each message that is no event, is answered with, over real sockets.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::client::{Client, ask, binary, request};
use support::{Reply, Router, Server, verdict};
use weft_api::event::{Attributes, Event};
use weft_api::ingress::{Incoming, Verdict};
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
