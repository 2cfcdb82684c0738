//! The thread layout of the HTTP tools: one acceptor, and workers that are threads with a runtime, connections and
//! clients of their own, so that no request crosses a thread. The acceptor deals connections out in turn.

use std::convert::Infallible;
use std::future::Future;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use crate::{Failure, tool};

/// Listens on loopback and serves for ever with `threads` workers; `worker` makes the state of each one, on its thread.
///
/// # Errors
/// The port is taken, or a thread cannot start.
pub fn serve<S, F>(
    port: u16,
    threads: usize,
    worker: impl Fn() -> S + Clone + Send + 'static,
    answer: fn(Rc<S>, Request<Incoming>) -> F,
) -> Result<Infallible, Failure>
where
    S: 'static,
    F: Future<Output = Response<Full<Bytes>>> + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut workers = Vec::new();
    for _ in 0..threads.max(1) {
        // Bounded by the number of files that the process may open.
        let (connections, incoming) = mpsc::unbounded_channel();
        let worker = worker.clone();
        thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || run(Rc::new(worker()), incoming, answer))?;
        workers.push(connections);
    }
    tool::say("ready");
    for turn in 0.. {
        let (connection, _) = listener.accept()?;
        connection.set_nodelay(true)?;
        connection.set_nonblocking(true)?;
        workers[turn % workers.len()].send(connection)?;
    }
    unreachable!("the turns do not end")
}

fn run<S, F>(
    state: Rc<S>,
    mut incoming: mpsc::UnboundedReceiver<TcpStream>,
    answer: fn(Rc<S>, Request<Incoming>) -> F,
) where
    S: 'static,
    F: Future<Output = Response<Full<Bytes>>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("the system has a few more files for a runtime");
    runtime.block_on(async move {
        while let Some(connection) = incoming.recv().await {
            let Ok(connection) = tokio::net::TcpStream::from_std(connection) else {
                continue;
            };
            let state = state.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| {
                    let answered = answer(state.clone(), request);
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                // A client that hangs up is no news.
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
}
