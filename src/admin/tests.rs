#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use weft_api::stop::{Phase, StopHandle};

use super::snapshot::{IngressStatus, Snapshot};
use super::*;

mod letters;

#[derive(Default)]
struct Fake {
    listening: AtomicBool,
    crm_down: AtomicBool,
    probed: AtomicUsize,
    letters: Arc<letters::FakeLetters>,
}

impl Source for Fake {
    fn metrics(&self) -> String {
        "weft_uptime_seconds 1\n".to_owned()
    }
    fn readiness(&self) -> Readiness {
        match self.listening.load(Ordering::Relaxed) {
            true => Readiness::Ready,
            false => Readiness::NotReady(vec!["ingress web: not listening yet".to_owned()]),
        }
    }
    fn probe_destinations(&self) -> Pin<Box<dyn Future<Output = Vec<Probe>> + Send>> {
        self.probed.fetch_add(1, Ordering::Relaxed);
        let error = self
            .crm_down
            .load(Ordering::Relaxed)
            .then(|| "connection refused".to_owned());
        Box::pin(std::future::ready(vec![Probe {
            destination: "crm".to_owned(),
            error,
        }]))
    }
    fn snapshot(&self) -> Snapshot {
        let web = IngressStatus {
            name: "web".to_owned(),
            ..IngressStatus::default()
        };
        Snapshot {
            node: "n1".to_owned(),
            ingress: vec![web],
            ..Snapshot::default()
        }
    }
    fn routes(&self) -> Vec<RouteStatus> {
        vec![RouteStatus {
            name: "all".to_owned(),
            ..RouteStatus::default()
        }]
    }
    fn config(&self) -> String {
        "node:\n  name: n1\n".to_owned()
    }
    fn letters(&self) -> Arc<dyn dlq::letters::Letters> {
        Arc::clone(&self.letters) as Arc<_>
    }
}

struct Served {
    address: SocketAddr,
    source: Arc<Fake>,
    stop: StopHandle,
    task: tokio::task::JoinHandle<()>,
}

async fn start(surface: Surface) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = Arc::new(Fake::default());
    let (stop, stopped) = StopHandle::new();
    let task = tokio::spawn(serve(listener, surface, Admin::new(source.clone()), stopped));
    Served {
        address,
        source,
        stop,
        task,
    }
}

/// Sends raw bytes and returns all that comes back until the server closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an answer, too, for what the server refuses to read.
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8(answer).unwrap()
}

async fn get(address: SocketAddr, target: &str) -> String {
    raw(
        address,
        &format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    )
    .await
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("")
}

#[tokio::test]
async fn each_surface_shows_its_endpoints_and_no_other() {
    let all = [Surface::Observe, Surface::Admin];
    for surface in all {
        let served = start(surface).await;
        served.source.listening.store(true, Ordering::Relaxed);
        for of in all {
            for path in of.paths() {
                let answer = get(served.address, path).await;
                assert_eq!(
                    status(&answer),
                    if of == surface { "200" } else { "404" },
                    "{surface:?} {path}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_bodies_are_what_the_source_says() {
    let observe = start(Surface::Observe).await;
    assert!(
        get(observe.address, "/metrics")
            .await
            .ends_with("\r\n\r\nweft_uptime_seconds 1\n")
    );
    let admin = start(Surface::Admin).await;
    let status = get(admin.address, "/status").await;
    let body = status.split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(
        serde_json::from_str::<Snapshot>(body).unwrap(),
        admin.source.snapshot()
    );
    assert!(get(admin.address, "/routes").await.contains("\"name\": \"all\""));
    assert!(
        get(admin.address, "/config")
            .await
            .ends_with("node:\n  name: n1\n")
    );
}

#[tokio::test]
async fn ready_means_listening_and_destinations_only_where_asked_for() {
    let served = start(Surface::Observe).await;
    served.source.crm_down.store(true, Ordering::Relaxed);
    let answer = get(served.address, "/readyz").await;
    assert_eq!(status(&answer), "503");
    assert!(
        answer.ends_with("not ready\ningress web: not listening yet\n"),
        "{answer}"
    );
    served.source.listening.store(true, Ordering::Relaxed);
    assert_eq!(status(&get(served.address, "/readyz").await), "200");
    let answer = get(served.address, "/readyz?destinations=all").await;
    assert_eq!(status(&answer), "503");
    assert!(
        answer.ends_with("not ready\ndestination crm: connection refused\n"),
        "{answer}"
    );
    assert_eq!(
        status(&get(served.address, "/readyz?destinations=some").await),
        "400"
    );
}

#[tokio::test]
async fn whoever_hammers_readyz_does_not_hammer_the_destinations() {
    let served = start(Surface::Observe).await;
    for _ in 0..20 {
        get(served.address, "/readyz?destinations=all").await;
    }
    assert_eq!(served.source.probed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nothing_but_get_and_head_is_taken() {
    let served = start(Surface::Admin).await;
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
        let request = format!(
            "{method} /config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let answer = raw(served.address, &request).await;
        assert_eq!(status(&answer), "405", "{method}: {answer}");
        assert!(answer.contains("allow: GET, HEAD"), "{answer}");
    }
    let head = raw(
        served.address,
        "HEAD /config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&head), "200");
    assert!(head.ends_with("\r\n\r\n"), "a HEAD has no body: {head}");
}

#[tokio::test]
async fn hostile_input_ends_its_own_connection_only() {
    let served = start(Surface::Observe).await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(64 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(500));
    let inputs = [
        "\u{16}\u{3}\u{1}\u{2}",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET\r\n\r\n",
        &long,
        &many,
    ];
    for input in inputs {
        let answer = raw(served.address, input).await;
        assert_ne!(status(&answer), "200", "{answer}");
    }
    assert_eq!(status(&get(served.address, "/healthz").await), "200");
}

#[tokio::test]
async fn silent_clients_hold_their_slots_for_a_bounded_time_only() {
    let served = start(Surface::Observe).await;
    let mut silent = Vec::new();
    for _ in 0..server::CONNECTIONS_MAX + 4 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        silent.push(stream);
    }
    // Waits in the backlog until the first slots are free again: HEAD_TIME_MAX, then served.
    assert_eq!(status(&get(served.address, "/healthz").await), "200");
}

#[tokio::test]
async fn a_drain_is_served_and_a_stop_ends_the_server() {
    let served = start(Surface::Observe).await;
    served.stop.advance(Phase::Draining);
    assert_eq!(status(&get(served.address, "/metrics").await), "200");
    served.stop.advance(Phase::Stopped);
    timeout(Duration::from_secs(5), served.task)
        .await
        .unwrap()
        .unwrap();
}
