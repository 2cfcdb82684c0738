//! Connections, workers, start and stop.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use support::client::{Client, ask, binary, request};
use support::{Reply, Router, Server, Setup, accepted, free_port, soon, verdict};
use tokio::sync::oneshot;
use weft_api::ingress::Verdict;
use weft_api::outcome::Outcome;
use weft_api::status::Health;
use weft_api::stop::Phase;

/// A router that holds each event until the test answers it.
fn holding() -> (
    std::sync::Arc<Router>,
    tokio::sync::mpsc::UnboundedReceiver<oneshot::Sender<Verdict>>,
) {
    let (told, held) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new(move |_| {
        let (say, later) = oneshot::channel();
        told.send(say).unwrap();
        Reply::Later(later)
    });
    (router, held)
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_their_order() {
    let router = Router::new(|incoming| {
        let matched = incoming.event.id().parse().unwrap();
        Reply::Now(Verdict {
            matched,
            ..verdict(Outcome::Accepted)
        })
    });
    let server = Server::start(json!({}), router).await;
    let mut client = Client::connect(&server.address).await;
    let all: String = (1..=20)
        .map(|id| binary(&[], "body").replace("ce-id: 1", &format!("ce-id: {id}")))
        .collect();
    client.send(all).await;
    for id in 1..=20 {
        let answer = client.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("weft-matched").unwrap()),
            (204, id.to_string().as_str())
        );
    }
}

#[tokio::test]
async fn connections_are_spread_evenly_and_never_leave_their_worker() {
    let router = Router::new(|_| accepted());
    let server = Server::start(json!({ "workers": 4 }), router.clone()).await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = Client::connect(&server.address).await;
        // Answered, so that it is counted before the next one comes.
        assert_eq!(client.ask(binary(&[], "x")).await.status, 204);
        clients.push(client);
    }
    let mut by_lane = HashMap::<_, usize>::new();
    let mut threads = HashMap::new();
    for seen in router.seen() {
        *by_lane.entry(seen.lane.clone()).or_default() += 1;
        assert_eq!(
            *threads.entry(seen.lane).or_insert(seen.thread),
            seen.thread,
            "a lane has one thread"
        );
    }
    let mut counts: Vec<_> = by_lane
        .into_iter()
        .map(|(lane, count)| (lane.to_string(), count))
        .collect();
    counts.sort();
    let expected: Vec<_> = (0..4).map(|index| (format!("app/{index}"), 10)).collect();
    assert_eq!(counts, expected);
    for client in &mut clients {
        let before = router.seen().len();
        client.ask(binary(&[], "x")).await;
        client.ask(binary(&[], "x")).await;
        let seen = router.seen();
        assert_eq!(seen[before].thread, seen[before + 1].thread);
    }
}

#[tokio::test]
async fn beyond_max_connections_the_answer_is_503() {
    let server = Server::start(json!({ "max_connections": 2 }), Router::new(|_| accepted())).await;
    let mut first = Client::connect(&server.address).await;
    let mut second = Client::connect(&server.address).await;
    assert_eq!(first.ask(binary(&[], "x")).await.status, 204);
    assert_eq!(second.ask(binary(&[], "x")).await.status, 204);
    let answer = ask(&server.address, binary(&[], "x")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    let warned = server.report.1.lock().unwrap().clone();
    assert!(
        warned.len() == 1 && warned[0].contains("max_connections"),
        "{warned:?}"
    );
    drop(first);
    soon(async { while ask(&server.address, binary(&[], "x")).await.status != 204 {} }).await;
}

#[tokio::test]
async fn draining_answers_what_is_in_flight_and_takes_nothing_more() {
    let (router, mut held) = holding();
    let server = Server::start(json!({}), router.clone()).await;
    let mut idle = Client::connect(&server.address).await;
    idle.send(binary(&[], "x")).await;
    soon(held.recv())
        .await
        .unwrap()
        .send(verdict(Outcome::Accepted))
        .unwrap();
    assert_eq!(idle.answer().await.unwrap().status, 204);
    let mut busy = Client::connect(&server.address).await;
    busy.send(binary(&[], "x")).await;
    let say = soon(held.recv()).await.unwrap();
    server.advance(Phase::Draining);
    idle.closed().await;
    assert!(
        tokio::net::TcpStream::connect(&server.address).await.is_err(),
        "it still listens"
    );
    say.send(verdict(Outcome::Accepted)).unwrap();
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (204, Some("close")));
    busy.closed().await;
    assert!(!server.running.is_finished(), "it returns at Stopped, not before");
    server.stop().await;
}

#[tokio::test]
async fn draining_ends_http_2_connections_after_their_requests() {
    let (router, mut held) = holding();
    let server = Server::start(json!({}), router).await;
    let tcp = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(tcp);
    let (mut requests, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let ended = tokio::spawn(connection);
    let request = || {
        http::Request::put(format!("http://{}/", server.address))
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "/s")
            .header("ce-type", "t")
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    let answer = tokio::spawn(requests.send_request(request()));
    let say = soon(held.recv()).await.unwrap();
    server.advance(Phase::Draining);
    say.send(verdict(Outcome::Accepted)).unwrap();
    assert_eq!(soon(answer).await.unwrap().unwrap().status(), 204);
    soon(ended).await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn stopping_returns_though_requests_wait() {
    let (router, mut held) = holding();
    let server = Server::start(json!({ "workers": 2 }), router).await;
    let mut client = Client::connect(&server.address).await;
    client.send(binary(&[], "x")).await;
    let _say = soon(held.recv()).await.unwrap();
    server.stop().await;
    client.closed().await;
}

#[tokio::test]
async fn a_dropped_ingress_leaves_nothing_behind() {
    let (router, mut held) = holding();
    let server = Server::start(json!({}), router).await;
    let mut client = Client::connect(&server.address).await;
    client.send(binary(&[], "x")).await;
    let mut say = soon(held.recv()).await.unwrap();
    server.running.abort();
    client.closed().await;
    soon(say.closed()).await;
    std::net::TcpListener::bind(&server.address).expect("the port is still taken");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_forgotten() {
    let (router, mut held) = holding();
    let server = Server::start(json!({ "max_connections": 1 }), router).await;
    let mut client = Client::connect(&server.address).await;
    client.send(binary(&[], "x")).await;
    let mut say = soon(held.recv()).await.unwrap();
    drop(client);
    soon(say.closed()).await;
    soon(async {
        loop {
            let mut next = Client::connect(&server.address).await;
            next.send(binary(&[], "x")).await;
            tokio::select! {
                Some(say) = held.recv() => { say.send(verdict(Outcome::Accepted)).unwrap(); }
                _ = next.answer() => continue,
            }
            return assert_eq!(next.answer().await.unwrap().status, 204);
        }
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_waited_for_and_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let setup = Setup {
        section: json!({ "listen": listen }),
        ..Setup::default()
    };
    let mut server = Server::unready(setup, Router::new(|_| accepted()));
    let said = soon(
        server
            .health
            .wait_for(|health| matches!(health, Health::Waiting(_))),
    )
    .await
    .unwrap()
    .clone();
    let Health::Waiting(said) = said else {
        panic!("{said:?}")
    };
    assert!(
        said.contains(&listen) && said.contains("stop the process"),
        "{said}"
    );
    drop(taken);
    soon(server.health.wait_for(|health| *health == Health::Ready))
        .await
        .unwrap();
    assert_eq!(ask(&listen, binary(&[], "x")).await.status, 204);
    server.stop().await;
}

#[tokio::test]
async fn several_addresses_are_listened_on() {
    let second = format!("127.0.0.1:{}", free_port());
    let first = format!("127.0.0.1:{}", free_port());
    let section = json!({ "listen": [first, second], "workers": 1 });
    let builder = weft_api::connector::Connector::ingress(
        &weft_http::Http,
        &support::node(section),
        &support::ingress_settings(),
    );
    let builder = builder.unwrap().unwrap();
    assert_eq!(builder.address(), format!("http://{first}/, http://{second}/"));
    builder.build().unwrap().probe().await.unwrap();
    let held = std::net::TcpListener::bind(&second).unwrap();
    let error = builder.build().unwrap().probe().await.unwrap_err();
    assert!(error.0.contains(&second), "{error}");
    drop(held);
}

#[tokio::test]
async fn the_webhook_handshake_is_answered_only_where_it_is_configured() {
    let options = |origin| request("OPTIONS", "/", &[("webhook-request-origin", origin)], "");
    let server = Server::start(
        json!({ "webhook_origins": ["events.example.com"] }),
        Router::new(|_| accepted()),
    )
    .await;
    let mut client = Client::connect(&server.address).await;
    let answer = client.ask(options("Events.example.com")).await;
    assert_eq!(
        (answer.status, answer.header("webhook-allowed-origin")),
        (204, Some("Events.example.com"))
    );
    let answer = client.ask(options("other.example.com")).await;
    assert_eq!(
        (answer.status, answer.header("webhook-allowed-origin")),
        (405, None)
    );
    let without = Server::start(json!({}), Router::new(|_| accepted())).await;
    assert_eq!(
        ask(&without.address, options("events.example.com")).await.status,
        405
    );
}

#[tokio::test]
async fn the_deadline_of_the_file_reaches_the_router() {
    let never = Mutex::new(Vec::new());
    let router = Router::new(move |_| {
        let (say, later) = oneshot::channel();
        never.lock().unwrap().push(say);
        Reply::Later(later)
    });
    let server = Server::start(json!({ "deadline": "50ms" }), router.clone()).await;
    let answer = ask(&server.address, binary(&[], "x")).await;
    assert_eq!(
        (answer.status, answer.json()["reason"].as_str()),
        (504, Some("deadline"))
    );
    assert_eq!(router.seen()[0].deadline, Duration::from_millis(50));
}
