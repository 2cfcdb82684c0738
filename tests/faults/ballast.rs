//! Load that only weighs: large events, on many connections at a time, besides those that are counted. The router may
//! take or refuse them; what it may not do is to suffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::event;
use crate::runtime;

/// After a refusal.
const PAUSE: Duration = Duration::from_millis(20);

/// Senders under way. Dropping it lets each of them finish its request.
pub(crate) struct Ballast {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    taken: AtomicUsize,
    refused: AtomicUsize,
}

/// What every event of it is like.
#[derive(Clone)]
pub(crate) struct Weight {
    /// Bytes of data.
    pub(crate) bytes: usize,
    /// Attributes besides the required ones.
    pub(crate) attributes: Vec<(&'static str, String)>,
}

impl Ballast {
    /// Posts to a port, over so many connections, as fast as it is answered.
    pub(crate) fn start(port: u16, connections: usize, weight: &Weight) -> Ballast {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let data = Bytes::from(vec![b'x'; weight.bytes]);
        for _ in 0..connections {
            let (stop, counts, data) = (Arc::clone(&stop), Arc::clone(&counts), data.clone());
            let attributes = weight.attributes.clone();
            runtime::get().spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // A connection that broke is made again.
                    let _ = send(port, &stop, &counts, &data, &attributes).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        Ballast { stop, counts }
    }

    /// How many of its events the router has taken.
    pub(crate) fn taken(&self) -> usize {
        self.counts.taken.load(Ordering::Relaxed)
    }

    /// How many it has not.
    pub(crate) fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends over one connection until it breaks.
async fn send(
    port: u16,
    stop: &AtomicBool,
    counts: &Counts,
    data: &Bytes,
    attributes: &[(&'static str, String)],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    while !stop.load(Ordering::Relaxed) {
        sender.ready().await?;
        let id = format!("{}{}", event::BALLAST, NEXT.fetch_add(1, Ordering::Relaxed));
        let mut request = Request::post("/")
            .header(HOST, "weft")
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("ce-specversion", "1.0")
            .header("ce-source", "/weft/rig/ballast")
            .header("ce-type", "com.example.rig.ballast")
            .header("ce-id", id);
        for (name, value) in attributes {
            request = request.header(format!("ce-{name}"), value);
        }
        let answer = sender
            .send_request(request.body(Full::new(data.clone()))?)
            .await?;
        let is_taken = [StatusCode::NO_CONTENT, StatusCode::ACCEPTED].contains(&answer.status());
        let count = if is_taken { &counts.taken } else { &counts.refused };
        count.fetch_add(1, Ordering::Relaxed);
        answer.into_body().collect().await?;
        if !is_taken {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
