//! A worker: an OS thread with its own runtime, its own lane and its own connections.
//!
//! Invariant: a connection never leaves its worker, and what a request sends on its own task uses clients of the same
//! thread, so that nothing on the direct path crosses a thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use weft_api::ingress::{LaneSpec, RequestLane, RequestLanes, Settle};
use weft_api::stop::Stop;

use super::connection::serve;
use super::site::Site;

/// What the tasks of one worker share.
pub(super) struct Worker {
    /// What is served, the same for all workers.
    pub(super) site: Arc<Site>,
    /// This worker's lane.
    pub(super) lane: RequestLane,
    load: Arc<Load>,
    drain: AtomicBool,
    drained: Notify,
}

/// How many connections a worker has; the acceptor's view of it.
#[derive(Default, Debug)]
pub(super) struct Load {
    connections: AtomicUsize,
    /// The last one is gone.
    empty: Notify,
}

/// The acceptor's end of a worker. Dropping it drains the worker.
pub(super) struct Handle {
    connections: mpsc::UnboundedSender<(std::net::TcpStream, Counted)>,
    load: Arc<Load>,
    /// Ends when the thread has ended.
    pub(super) ended: oneshot::Receiver<()>,
}

/// A connection that counts towards its worker's load.
pub(super) struct Counted(Arc<Load>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}

impl Handle {
    /// How many connections it has.
    pub(super) fn load(&self) -> usize {
        self.load.connections.load(Ordering::Relaxed)
    }

    /// Hands a connection over; the channel is bounded by `max_connections`, since what waits in it is counted.
    pub(super) fn take(&self, tcp: TcpStream) -> io::Result<()> {
        // Leaves the acceptor's reactor; the worker registers it with its own.
        let tcp = tcp.into_std()?;
        self.load.connections.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(self.load.clone());
        self.connections
            .send((tcp, counted))
            .map_err(|_| io::Error::other("the worker thread has ended"))
    }
}

impl Worker {
    /// Whether its connections shall end.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }

    /// Returns once they shall.
    pub(super) async fn draining(&self) {
        let mut drained = std::pin::pin!(self.drained.notified());
        // Registered before the flag is read, so that no wake is lost between the two.
        drained.as_mut().enable();
        if !self.is_draining() {
            drained.await;
        }
    }

    /// Takes connections until it shall drain, then waits until they have ended.
    async fn run(
        self: Arc<Self>,
        mut incoming: mpsc::UnboundedReceiver<(std::net::TcpStream, Counted)>,
        stop: Stop,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                () = stop.draining() => None,
                next = incoming.recv() => next,
            };
            let Some((tcp, counted)) = next else { break };
            let worker = self.clone();
            tokio::spawn(async move {
                if let Ok(tcp) = TcpStream::from_std(tcp) {
                    serve(worker, tcp).await;
                }
                drop(counted);
            });
        }
        drop(incoming);
        self.drain.store(true, Ordering::Release);
        self.drained.notify_waiters();
        tokio::select! {
            biased;
            () = self.empty() => {}
            () = stop.stopped() => {}
        }
    }

    async fn empty(&self) {
        loop {
            let mut empty = std::pin::pin!(self.load.empty.notified());
            empty.as_mut().enable();
            if self.load.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            empty.await;
        }
    }
}

/// Starts worker `index`.
pub(super) fn start(
    index: usize,
    site: &Arc<Site>,
    ingress: &str,
    requests: &RequestLanes,
    stop: Stop,
) -> io::Result<Handle> {
    let (connections, incoming) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel();
    let load = Arc::new(Load::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (site, requests, shared) = (site.clone(), requests.clone(), load.clone());
    let name: Arc<str> = format!("{ingress}/{index}").into();
    thread::Builder::new()
        .name(format!("http-{name}"))
        .spawn(move || {
            // Told last of all, also when this thread panics.
            let _end = end;
            runtime.block_on(async {
                let spec = LaneSpec {
                    name,
                    window: site.limits.window,
                    settle: Settle::Individual,
                };
                // Opened in the thread that uses it: its direct senders belong to this runtime.
                let lane = requests.open(spec);
                let drain = AtomicBool::new(false);
                Arc::new(Worker {
                    site,
                    lane,
                    load: shared,
                    drain,
                    drained: Notify::new(),
                })
                .run(incoming, stop)
                .await;
            });
            // Whatever is left was told to stop; a resolver call in the blocking pool must not hold the thread.
            runtime.shutdown_background();
        })?;
    Ok(Handle {
        connections,
        load,
        ended,
    })
}
