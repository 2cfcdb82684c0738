//! A TCP relay that stands for the network between a client and a server on loopback: it forwards, holds back, or is
//! cut. It owns its port and the connections through it; it knows nothing of what they carry.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::{free_port, runtime};

/// Read at once, and held at most while the way is closed; the rest waits in the kernel's buffers.
const CHUNK: usize = 16 * 1024;

/// The relay. Dropping it cuts it.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    target: u16,
    rule: watch::Sender<Rule>,
    listener: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// What the relay does with bytes that arrive.
#[derive(Debug, Clone, Copy, Default)]
struct Rule {
    hold_requests: bool,
    hold_answers: bool,
    delay: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    There,
    Back,
}

impl Relay {
    /// Forwards from a free port to a port where somebody listens, now or later.
    #[must_use]
    pub fn to(target: u16) -> Self {
        let rule = watch::Sender::new(Rule::default());
        let mut relay = Self {
            port: free_port(),
            target,
            rule,
            listener: None,
        };
        relay.heal();
        relay
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Forwards again, at once and in both directions, whatever was before.
    pub fn heal(&mut self) {
        self.rule.send_replace(Rule::default());
        if self.listener.is_some() {
            return;
        }
        let (port, target, rule) = (self.port, self.target, self.rule.subscribe());
        let listener = runtime::wait(async move { TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await });
        let listener = listener.unwrap_or_else(|e| panic!("listening on port {port}: {e}"));
        let (stop, stopped) = oneshot::channel();
        let task = runtime::get().spawn(accept(listener, target, rule, stopped));
        self.listener = Some((stop, task));
    }

    /// Drops every connection and refuses new ones; nothing passes any more when it returns.
    pub fn cut(&mut self) {
        if let Some((stop, task)) = self.listener.take() {
            drop(stop);
            runtime::wait(async move {
                let _ = task.await;
            });
        }
    }

    /// Keeps connections open and takes new ones, but nothing passes: a network that swallows packets.
    pub fn stall(&self) {
        self.rule
            .send_modify(|rule| (rule.hold_requests, rule.hold_answers) = (true, true));
    }

    /// Lets requests pass and holds the answers: the server has acted, and the client cannot know.
    pub fn stall_answers(&self) {
        self.rule.send_modify(|rule| rule.hold_answers = true);
    }

    /// Passes each chunk that is read only after a time, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.rule.send_modify(|rule| rule.delay = delay);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Owns the listener and all connections, which end with it.
async fn accept(
    listener: TcpListener,
    target: u16,
    rule: watch::Receiver<Rule>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connect(client, target, rule.clone()));
            }
        }
    }
    drop(listener);
    // Not only told to end: one that is just passing a chunk on has to have done so.
    connections.shutdown().await;
}

async fn connect(client: TcpStream, target: u16, rule: watch::Receiver<Rule>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Both until their own end: one side may have said its last word while the other still speaks.
    tokio::join!(
        pump(from_client, to_server, Way::There, rule.clone()),
        pump(from_server, to_client, Way::Back, rule)
    );
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut rule: watch::Receiver<Rule>) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from.read(&mut chunk).await.unwrap_or(0);
        let open = rule.wait_for(|rule| match way {
            Way::There => !rule.hold_requests,
            Way::Back => !rule.hold_answers,
        });
        let Ok(delay) = open.await.map(|rule| rule.delay) else {
            return;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // An end is passed on as an end: dropping the half closes that direction.
        if count == 0 || to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}
