//! A server that is no use: it listens, and that is all. It owns a port on loopback while it lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::runtime;

/// Connections that the kernel takes for us while nobody accepts: more than any client makes at a time.
const ROOM: u32 = 4096;
/// The kernel answers on loopback at once, or never.
const ANSWER: Duration = Duration::from_millis(200);
/// A queue of one has room for two or three; far fewer than these.
const FILLERS_MAX: usize = 64;

/// A black hole. Dropping it frees the port.
#[derive(Debug)]
pub struct BlackHole {
    /// Who accepts, if somebody does; it owns the listener then.
    acceptor: Option<JoinHandle<()>>,
    _listener: Option<TcpListener>,
    /// Connections of our own that take all the room there is.
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// Takes connections and requests, and never answers.
    #[must_use]
    pub fn silent(port: u16) -> Self {
        let listener = listen(port, ROOM);
        let task = runtime::get().spawn(async move {
            let mut held = Vec::new();
            // Never read: what a client sends fills the kernel's buffers.
            while let Ok((stream, _)) = listener.accept().await {
                held.push(stream);
            }
        });
        Self {
            acceptor: Some(task),
            _listener: None,
            _fillers: Vec::new(),
        }
    }

    /// Never accepts: its queue of connections is full, so that the kernel does not even answer SYN.
    #[must_use]
    pub fn deaf(port: u16) -> Self {
        let listener = listen(port, 1);
        let fillers = runtime::wait(async move {
            let mut fillers = Vec::new();
            while let Ok(Ok(filler)) = timeout(ANSWER, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await
            {
                fillers.push(filler);
                assert!(
                    fillers.len() < FILLERS_MAX,
                    "the queue of port {port} is never full"
                );
            }
            fillers
        });
        Self {
            acceptor: None,
            _listener: Some(listener),
            _fillers: fillers,
        }
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.abort();
            // The port is free only when the task is gone.
            runtime::wait(async move {
                let _ = acceptor.await;
            });
        }
    }
}

fn listen(port: u16, room: u32) -> TcpListener {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listening = runtime::wait(async move {
        let socket = TcpSocket::new_v4()?;
        // A port whose former connections linger may be taken at once, as every server does.
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(room)
    });
    listening.unwrap_or_else(|e| panic!("listening on port {port}: {e}"))
}
