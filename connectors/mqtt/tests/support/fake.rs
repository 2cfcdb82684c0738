//! A broker by script: it answers each packet with bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::packet::{self, Packet};

/// What the broker does with a packet.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub bytes: Vec<u8>,
    /// Closes the connection behind them.
    pub close: bool,
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Reply {
        Reply { bytes, close: false }
    }
}

/// A broker by script.
pub struct Fake {
    pub port: u16,
    connections: Arc<AtomicUsize>,
    packets: Arc<Mutex<Vec<(usize, Packet)>>>,
}

impl Fake {
    /// Asks the script for each packet of each connection, which are counted from 0.
    pub async fn start(script: impl Fn(usize, &Packet) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake = Fake {
            port,
            connections: Arc::default(),
            packets: Arc::default(),
        };
        let (connections, packets) = (fake.connections.clone(), fake.packets.clone());
        let script = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, number, script.clone(), packets.clone()));
            }
        });
        fake
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Every packet so far, with its connection.
    pub fn packets(&self) -> Vec<(usize, Packet)> {
        self.packets.lock().unwrap().clone()
    }

    /// How many packets of a kind came.
    pub fn count(&self, kind: u8) -> usize {
        self.packets()
            .iter()
            .filter(|(_, packet)| packet.kind() == kind)
            .count()
    }
}

async fn serve(
    mut stream: TcpStream,
    number: usize,
    script: Arc<impl Fn(usize, &Packet) -> Reply>,
    packets: Arc<Mutex<Vec<(usize, Packet)>>>,
) {
    let mut buffer = Vec::new();
    while stream.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
        while let Some(packet) = packet::split(&mut buffer) {
            let reply = script(number, &packet);
            packets.lock().unwrap().push((number, packet));
            if stream.write_all(&reply.bytes).await.is_err() || reply.close {
                return;
            }
        }
    }
}

/// CONNACK without properties.
pub fn connack(five: bool, session_present: bool, code: u8) -> Vec<u8> {
    packet::packet(
        0x20,
        &[vec![u8::from(session_present), code], packet::none(five)].concat(),
    )
}

/// SUBACK that grants one filter.
pub fn suback(five: bool, packet: &Packet, code: u8) -> Vec<u8> {
    packet::packet(
        0x90,
        &[packet.body[..2].to_vec(), packet::none(five), vec![code]].concat(),
    )
}

/// A broker that accepts, grants QoS 1, and answers PINGREQ; then these bytes.
pub fn good(five: bool, packet: &Packet, then: &[u8]) -> Reply {
    match packet.kind() {
        1 => connack(five, false, 0).into(),
        8 => [suback(five, packet, 1), then.to_vec()].concat().into(),
        12 => vec![0xd0, 0].into(),
        _ => Reply::default(),
    }
}
