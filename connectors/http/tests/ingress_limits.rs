//! Bounds and hostile input: every refusal is clean, named, and disturbs nobody else.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use support::client::{CE, Client, ask, binary, request};
use support::{Reply, Router, Server, accepted, verdict};
use weft_api::outcome::{Outcome, Reason};

const LIMIT: usize = 64 * 1024;

fn head(length: &str) -> String {
    binary(&[("content-length", length)], "")
}

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_byte_more_is_refused_by_name() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let mut client = Client::connect(&server.address).await;
    assert_eq!(client.ask(binary(&[], &"x".repeat(LIMIT))).await.status, 204);
    let answer = client.ask(binary(&[], &"x".repeat(LIMIT + 1))).await;
    assert_eq!(
        (answer.status, answer.json()["limit"].as_u64()),
        (413, Some(LIMIT as u64))
    );
    assert!(answer.detail().contains("limits.event"), "{}", answer.detail());
    assert_eq!(
        client.ask(binary(&[], "x")).await.status,
        204,
        "the connection survives"
    );
    assert_eq!(router.seen().len(), 2);
}

#[tokio::test]
async fn a_declared_size_is_refused_before_it_is_sent() {
    let server = Server::start(json!({}), Router::new(|_| accepted())).await;
    let answer = ask(&server.address, head("1152921504606846976")).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_chunked_body_is_counted_as_it_comes() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let chunked = binary(&[("transfer-encoding", "chunked")], "");
    let mut client = Client::connect(&server.address).await;
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    assert_eq!(
        client
            .ask(format!("{chunked}{chunk}{chunk}0\r\n\r\n"))
            .await
            .status,
        204
    );
    assert_eq!(router.seen()[0].incoming.event.data().unwrap().len(), LIMIT);
    client.send(format!("{chunked}{chunk}{chunk}1\r\nx\r\n")).await;
    assert_eq!(client.answer().await.unwrap().status, 413);
    assert_eq!(router.seen().len(), 1);
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off_with_408() {
    let server = Server::start(json!({ "header_timeout": "300ms" }), Router::new(|_| accepted())).await;
    let mut client = Client::connect(&server.address).await;
    let began = Instant::now();
    let mut cut = false;
    for byte in "POST / HTTP/1.1\r\nhost: x\r\nx: "
        .bytes()
        .chain(std::iter::repeat(b'y'))
    {
        if !client.try_send([byte]).await || began.elapsed() > Duration::from_millis(600) {
            cut = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(cut);
    assert_eq!(client.answer().await.expect("no last word").status, 408);
    client.closed().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start(json!({ "header_timeout": "200ms" }), Router::new(|_| accepted())).await;
    Client::connect(&server.address).await.closed().await;
}

#[tokio::test]
async fn a_connection_between_requests_has_its_own_time() {
    let section = json!({ "header_timeout": "200ms", "idle_timeout": "700ms" });
    let server = Server::start(section, Router::new(|_| accepted())).await;
    let mut client = Client::connect(&server.address).await;
    assert_eq!(client.ask(binary(&[], "x")).await.status, 204);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        client.ask(binary(&[], "x")).await.status,
        204,
        "closed before its idle time"
    );
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_does_not_end_is_answered_408() {
    let server = Server::start(json!({ "body_timeout": "200ms" }), Router::new(|_| accepted())).await;
    let answer = ask(&server.address, head("10") + "half").await;
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (408, Some("urn:weft:problem:slow"))
    );
}

#[tokio::test]
async fn hostile_heads_get_clean_errors_and_harm_no_neighbour() {
    let refuse = |_: &_| Reply::Now(verdict(Outcome::Rejected(Reason::Malformed)));
    let server = Server::start(json!({ "max_header_bytes": 16384 }), Router::new(refuse)).await;
    let mut neighbour = Client::connect(&server.address).await;
    let huge = format!("x-huge: {}\r\n", "y".repeat(20_000));
    let many: String = (0..200).map(|index| format!("x-{index}: y\r\n")).collect();
    let cases: [(Vec<u8>, u16); 8] = [
        (format!("POST / HTTP/1.1\r\nhost: x\r\n{huge}\r\n").into(), 431),
        (format!("POST / HTTP/1.1\r\nhost: x\r\n{many}\r\n").into(), 431),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_vec(),
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
            400,
        ),
        (b"POST / HTTP/1.1\r\nhost: x\r\nbad name: y\r\n\r\n".to_vec(), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01".to_vec(), 400),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\nce-id: caf\xe9\r\nce-specversion: 1.0\r\n\r\n".to_vec(),
            400,
        ),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: \xff\xfe\r\ncontent-length: 1\r\n\r\nx".to_vec(),
            400,
        ),
    ];
    for (bytes, status) in cases {
        let answer = ask(&server.address, &bytes).await;
        assert_eq!(
            answer.status,
            status,
            "{}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        );
    }
    assert_eq!(neighbour.ask(binary(&[], "")).await.status, 422);
}

#[tokio::test]
async fn broken_chunks_are_the_sender_s_fault() {
    let server = Server::start(json!({}), Router::new(|_| accepted())).await;
    let chunked = binary(&[("transfer-encoding", "chunked")], "");
    let answer = ask(&server.address, chunked + "zz\r\nxx\r\n").await;
    assert_eq!(answer.status, 400);
    assert!(answer.detail().contains("framed"), "{}", answer.detail());
}

#[tokio::test]
async fn path_method_and_media_are_checked_before_the_body() {
    let server = Server::start(json!({ "path": ["/a", "/b"] }), Router::new(|_| accepted())).await;
    let mut client = Client::connect(&server.address).await;
    let answer = client.ask(request("POST", "/c", &CE, "x")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.detail().contains("/a, /b"), "{}", answer.detail());
    let answer = client.ask(request("GET", "/a", &CE, "")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST, PUT")));
    for headers in [
        ("content-type", "application/cloudevents+avro"),
        ("content-encoding", "br"),
    ] {
        assert_eq!(
            client
                .ask(request("POST", "/b", &[CE.as_slice(), &[headers]].concat(), "x"))
                .await
                .status,
            415
        );
    }
}

#[tokio::test]
async fn an_overloaded_router_answers_503_within_50_ms_and_reads_no_body() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    router.room.store(false, Ordering::SeqCst);
    let mut client = Client::connect(&server.address).await;
    // The fastest of several: the machine may be busy, the path must not be slow.
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let began = Instant::now();
        let answer = client.ask(binary(&[("content-length", "5")], "12345")).await;
        fastest = fastest.min(began.elapsed());
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(answer.json()["reason"], "overloaded");
    }
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
    let mut half = Client::connect(&server.address).await;
    assert_eq!(
        half.ask(head("50000") + "only the start").await.status,
        503,
        "waited for the body"
    );
    let mut polite = Client::connect(&server.address).await;
    let answer = polite
        .ask(binary(&[("expect", "100-continue"), ("content-length", "5")], ""))
        .await;
    assert_eq!(answer.status, 503, "the body was asked for");
    assert!(router.seen().is_empty());
}

#[tokio::test]
async fn leave_to_send_is_given_where_there_is_room() {
    let server = Server::start(json!({}), Router::new(|_| accepted())).await;
    let mut client = Client::connect(&server.address).await;
    let answer = client
        .ask(binary(&[("expect", "100-continue"), ("content-length", "5")], ""))
        .await;
    assert_eq!(answer.status, 100);
    assert_eq!(client.ask("12345").await.status, 204);
}

#[tokio::test]
async fn bodies_being_read_share_a_bound() {
    let server = Server::start(
        json!({ "batch": { "bytes": 65536 } }),
        Router::new(|_| accepted()),
    )
    .await;
    // 1 MiB for all: of forty bodies that never end, at most sixteen can be there.
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mut client = Client::connect(&server.address).await;
        client.send(head("65536") + &"x".repeat(65_535)).await;
        slow.spawn(async move { client.answer().await });
    }
    for _ in 0..24 {
        let answer = support::soon(slow.join_next()).await.unwrap().unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.json()["reason"].as_str()),
            (503, Some("overloaded"))
        );
    }
    drop(slow);
    support::soon(async {
        while Client::connect(&server.address)
            .await
            .ask(binary(&[], &"x".repeat(60_000)))
            .await
            .status
            != 204
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_limit() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({}), router.clone()).await;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut client = Client::connect(&server.address).await;
    for (body, status) in [
        (pack(&[b'x'; 1000]), 204),
        (pack(&vec![b'x'; 10 * 1024 * 1024]), 413),
        (b"no gzip".to_vec(), 400),
    ] {
        let length = body.len().to_string();
        let head = binary(&[("content-encoding", "gzip"), ("content-length", &length)], "");
        assert_eq!(client.ask([head.as_bytes(), &body].concat()).await.status, status);
    }
    assert_eq!(router.seen().len(), 1);
    assert_eq!(router.seen()[0].incoming.event.data().unwrap().len(), 1000);
}

#[tokio::test]
async fn a_batch_has_bounds_of_its_own() {
    let router = Router::new(|_| accepted());
    let section = json!({ "batch": { "events": 2, "bytes": 200_000 } });
    let server = Server::start(section, router.clone()).await;
    let batch = |count: usize, data: usize| {
        let data = "x".repeat(data);
        let one = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"{data}"}}"#);
        let body = format!("[{}]", vec![one; count].join(","));
        request(
            "POST",
            "/",
            &[("content-type", "application/cloudevents-batch+json")],
            &body,
        )
    };
    let mut client = Client::connect(&server.address).await;
    assert_eq!(
        client.ask(batch(2, 60_000)).await.status,
        204,
        "larger than one event may be"
    );
    for (request, word) in [
        (batch(3, 1), "batch.events"),
        (batch(1, 70_000), "limits.event"),
        (batch(2, 110_000), "batch.bytes"),
    ] {
        let answer = client.ask(request).await;
        assert_eq!(answer.status, 413, "{word}");
        assert!(answer.detail().contains(word), "{}", answer.detail());
    }
    assert_eq!(router.seen().len(), 2);
}
