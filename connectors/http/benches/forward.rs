//! What forwarding one event costs in CPU time of the forwarding thread: a plain hyper forwarder against our ingress
//! whose lane sends each event on from the request's own task. 64 connections, 256 bytes of data, all in this process.
//!
//! Prints microseconds an event. The thread's own CPU time is read, so that load generator and receiver do not count.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as HttpBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use support::client::{Client, binary};
use tokio::net::{TcpListener, TcpStream};
use weft_api::egress::{DirectFactory, DirectSend};
use weft_api::ingress::{
    Incoming, IngressContext, LaneSpec, Lanes, RequestLaneBackend, RequestLanes, RequestLanesBackend,
    Verdict, VerdictFuture,
};
use weft_api::outcome::{Outcome, Reason};
use weft_api::status::Silent;
use weft_api::stop::StopHandle;

const CONNECTIONS: usize = 64;
const TIME: Duration = Duration::from_secs(6);

struct Direct(Arc<dyn DirectFactory>);
struct Lane(Arc<dyn DirectSend>);

impl RequestLanesBackend for Direct {
    fn open(&self, _: LaneSpec) -> Arc<dyn RequestLaneBackend> {
        Arc::new(Lane(self.0.open()))
    }
}

impl RequestLaneBackend for Lane {
    fn submit(self: Arc<Self>, incoming: Incoming, _: Duration) -> VerdictFuture {
        let sent = self.0.send(incoming.event);
        Box::pin(async move {
            let outcome = match sent.await {
                Ok(()) => Outcome::Accepted,
                Err(_) => Outcome::Released(Reason::Unavailable),
            };
            Verdict {
                outcome,
                matched: 1,
                stored: false,
                retry_after: None,
            }
        })
    }

    fn has_room(&self, _: u64) -> bool {
        true
    }
}

/// Runs a future in a thread of that name.
fn thread(name: &str, work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || runtime.block_on(work))
        .unwrap();
}

async fn receive(listener: TcpListener) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let service = service_fn(|request: Request<HttpBody>| async move {
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(
                Response::builder()
                    .status(204)
                    .body(Full::<Bytes>::default())
                    .unwrap(),
            )
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

/// The plainest forwarder: a client connection for each server connection.
async fn forward(listener: TcpListener, to: String) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let out = TcpStream::connect(&to).await.unwrap();
        out.set_nodelay(true).unwrap();
        let (requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(out))
            .await
            .unwrap();
        tokio::spawn(connection);
        let requests = Arc::new(tokio::sync::Mutex::new(requests));
        let service = service_fn(move |request: Request<HttpBody>| {
            let requests = requests.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let answer = requests
                    .lock()
                    .await
                    .send_request(Request::from_parts(head, Full::new(body)));
                let (head, body) = answer.await.unwrap().into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::from_parts(head, Full::new(body)))
            }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

/// CPU nanoseconds of the threads with that name.
fn cpu(name: &str) -> u64 {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let path = task.path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let stat = std::fs::read_to_string(path.join("stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
            let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            total += ticks * 10_000_000;
        }
    }
    total
}

async fn load(what: &str, name: &str, address: &str) {
    let (count, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let request = binary(
        &[("content-type", "application/json"), ("ce-subject", "plant-7")],
        &"x".repeat(256),
    );
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (count, stop, request) = (count.clone(), stop.clone(), request.clone());
        let mut client = Client::connect(address).await;
        clients.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.ask(&request).await.status, 204);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(TIME / 6).await;
    let (events, used) = (count.load(Ordering::Relaxed), cpu(name));
    tokio::time::sleep(TIME).await;
    let (events, used) = (count.load(Ordering::Relaxed) - events, cpu(name) - used);
    stop.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    let rate = events as f64 / TIME.as_secs_f64();
    println!(
        "{what}: {:.1} us of CPU an event, {rate:.0} events/s",
        used as f64 / events as f64 / 1000.0
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = receiver.local_addr().unwrap().to_string();
    let receiver = receiver.into_std().unwrap();
    thread("receiver", async move {
        receive(TcpListener::from_std(receiver).unwrap()).await
    });

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_at = plain.local_addr().unwrap().to_string();
    let (plain, target) = (plain.into_std().unwrap(), to.clone());
    thread("plain", async move {
        forward(TcpListener::from_std(plain).unwrap(), target).await
    });

    let ours_at = format!("127.0.0.1:{}", support::free_port());
    let egress = support::egress(json!({ "url": format!("http://{to}/") }))
        .build()
        .unwrap();
    let lanes = Arc::new(Direct(egress.direct().unwrap()));
    let section = support::node(json!({ "listen": ours_at, "workers": 1 }));
    let builder =
        weft_api::connector::Connector::ingress(&weft_http::Http, &section, &support::ingress_settings());
    let ingress = builder.unwrap().unwrap().build().unwrap();
    let (_handle, stop) = StopHandle::new();
    let cx = IngressContext {
        name: "app".into(),
        lanes: Lanes::new(Box::new(support::NoLanes)),
        requests: RequestLanes::new(lanes),
        stop,
        report: Arc::new(Silent),
    };
    tokio::spawn(ingress.run(cx));
    while TcpStream::connect(&ours_at).await.is_err() {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        load("plain hyper forwarder", "plain", &plain_at).await;
        load("weft, direct path", "http-app/0", &ours_at).await;
    }
}
