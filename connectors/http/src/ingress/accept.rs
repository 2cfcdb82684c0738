//! Takes connections and hands each to the worker with the fewest.
//!
//! One acceptor, since `SO_REUSEPORT` spreads by a hash (with few connections some workers get none), lets two
//! processes share a port unseen, and loses what waits in a listener that closes. A connection crosses threads once;
//! its requests never do.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weft_api::status::{Health, Reporter};

use super::files::Files;
use super::site::Site;
use super::worker::Handle;

const BIND_AGAIN_MIN: Duration = Duration::from_millis(100);
const BIND_AGAIN_MAX: Duration = Duration::from_secs(5);
/// After an accept failed for want of descriptors or memory.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// Most refused connections that are told so at one time; more are closed without a word.
const REFUSING_MAX: usize = 128;
/// The same where files are what is short.
const REFUSING_SHORT_MAX: usize = 8;
/// How long a refused client may take to read that it was refused.
const REFUSING_TIME: Duration = Duration::from_millis(500);

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Binds all addresses; tries for ever, and reports what it waits for. Cancel-safe.
pub(super) async fn bind(listen: &[String], report: &Reporter) -> Vec<TcpListener> {
    let mut bound = Vec::with_capacity(listen.len());
    for address in listen {
        let mut again = BIND_AGAIN_MIN;
        bound.push(loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => {
                    report.health(Health::Waiting(format!(
                        "listening on {address}: {error}; {}",
                        remedy(&error)
                    )));
                    sleep(again).await;
                    again = (again * 2).min(BIND_AGAIN_MAX);
                }
            }
        });
    }
    bound
}

/// What an operator can do about it.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop the process that listens there, or choose another port",
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: use 0.0.0.0 or one that it has"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        _ => "correct `listen`, or wait until the address can be had",
    }
}

/// Accepts until a worker is gone, which is the error. Cancel-safe: nothing that was accepted is lost.
pub(super) async fn accept(
    listeners: &[TcpListener],
    site: &Arc<Site>,
    workers: &[Handle],
    report: &Reporter,
) -> io::Error {
    let files = Files::of_this_process();
    let mut refusing = JoinSet::new();
    let (mut turn, mut full) = (0_usize, false);
    loop {
        let tcp = match next(listeners).await {
            Ok(tcp) => tcp,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                report.warn(format!(
                    "accepting connections: {error}; raise the limit of open files if this goes on"
                ));
                sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Answers are small and wanted at once. A socket that is already dead fails here, and then again below.
        let _ = tcp.set_nodelay(true);
        while refusing.try_join_next().is_some() {}
        let connections: usize = workers.iter().map(Handle::load).sum();
        let short = files.refuse(&tcp);
        if connections >= site.limits.connections || short.is_some() {
            let told_max = if short.is_some() {
                REFUSING_SHORT_MAX
            } else {
                REFUSING_MAX
            };
            if !std::mem::replace(&mut full, true) {
                report.warn(short.unwrap_or_else(|| {
                    format!("max_connections ({connections}) reached: further connections are answered 503")
                }));
            }
            if refusing.len() < told_max {
                refusing.spawn(refuse(tcp));
            }
            continue;
        }
        full = false;
        turn = turn.wrapping_add(1);
        let idlest = (0..workers.len())
            .map(|i| (i + turn) % workers.len())
            .min_by_key(|i| workers[*i].load());
        let Some(worker) = idlest else {
            return io::Error::other("there is no worker");
        };
        if let Err(error) = workers[worker].take(tcp) {
            return error;
        }
    }
}

/// The next connection of any listener.
async fn next(listeners: &[TcpListener]) -> io::Result<TcpStream> {
    poll_fn(|cx| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted.map(|(tcp, _)| tcp));
            }
        }
        Poll::Pending
    })
    .await
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// Says 503, and reads what the client says until it has seen that, so that the answer is not lost to a reset.
async fn refuse(mut tcp: TcpStream) {
    let told = async {
        tcp.write_all(FULL).await?;
        tcp.shutdown().await?;
        let mut ignored = [0; 1024];
        while tcp.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Best effort: it was refused either way.
    let _ = timeout(REFUSING_TIME, told).await;
}
