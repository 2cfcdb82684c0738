//! A tap on the way to a broker: it forwards, counts what is acknowledged, and can answer in the broker's place.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::packet::{self, Packet};

/// What the tap has seen.
#[derive(Default)]
pub struct Seen {
    /// Messages, by their bytes without what a repetition changes, that were acknowledged well.
    acknowledged: HashSet<Vec<u8>>,
    /// And with an error.
    refused: HashSet<Vec<u8>>,
    unanswered: usize,
    most_unanswered: usize,
    /// The reason code with which publishes are answered without the broker.
    answer: Option<u8>,
}

/// The tap; connections live on after it.
pub struct Tap {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Tap {
    /// Taps the way to a port.
    pub async fn to(target: u16, five: bool) -> Tap {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Ok(broker) = TcpStream::connect(("127.0.0.1", target)).await {
                        join(client, broker, five, shared).await;
                    }
                });
            }
        });
        Tap { port, seen }
    }

    pub fn acknowledged(&self) -> usize {
        self.seen.lock().unwrap().acknowledged.len()
    }

    pub fn refused(&self) -> usize {
        self.seen.lock().unwrap().refused.len()
    }

    pub fn most_unanswered(&self) -> usize {
        self.seen.lock().unwrap().most_unanswered
    }

    /// Answers publishes with this code from now on; `None`: the broker answers.
    pub fn answer(&self, code: Option<u8>) {
        self.seen.lock().unwrap().answer = code;
    }
}

async fn join(client: TcpStream, broker: TcpStream, five: bool, seen: Arc<Mutex<Seen>>) {
    client.set_nodelay(true).unwrap();
    broker.set_nodelay(true).unwrap();
    let (client_in, client_out) = client.into_split();
    let (broker_in, broker_out) = broker.into_split();
    let client_out = Arc::new(tokio::sync::Mutex::new(client_out));
    // Messages of this connection, by their identifier.
    let messages = Arc::new(Mutex::new(HashMap::new()));
    seen.lock().unwrap().unanswered = 0;
    let up = up(
        client_in,
        broker_out,
        client_out.clone(),
        five,
        seen.clone(),
        messages.clone(),
    );
    let down = down(broker_in, client_out, five, seen, messages);
    tokio::join!(up, down);
}

type Messages = Arc<Mutex<HashMap<u16, Vec<u8>>>>;

async fn up(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    back: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    five: bool,
    seen: Arc<Mutex<Seen>>,
    messages: Messages,
) {
    let mut buffer = Vec::new();
    while let Some(packets) = read(&mut from, &mut buffer).await {
        let (mut forward, mut answers) = (Vec::new(), Vec::new());
        for packet in &packets {
            let mut seen = seen.lock().unwrap();
            match packet.kind() {
                3 => {
                    if let Some(code) = seen.answer {
                        let [high, low] = packet::message(five, packet).id.to_be_bytes();
                        answers.extend([0x40, 3, high, low, code]);
                        continue;
                    }
                    seen.unanswered += 1;
                    seen.most_unanswered = seen.most_unanswered.max(seen.unanswered);
                }
                4 | 5 => {
                    if let Some(message) = messages.lock().unwrap().get(&packet.id()) {
                        match packet.body.get(2) {
                            Some(0x80..) => _ = seen.refused.insert(message.clone()),
                            _ => _ = seen.acknowledged.insert(message.clone()),
                        }
                    }
                }
                _ => {}
            }
            forward.extend(packet.bytes());
        }
        if back.lock().await.write_all(&answers).await.is_err() || to.write_all(&forward).await.is_err() {
            break;
        }
    }
    // The broker hears of the end behind all that came before it.
    let _ = to.shutdown().await;
}

async fn down(
    mut from: OwnedReadHalf,
    to: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    five: bool,
    seen: Arc<Mutex<Seen>>,
    messages: Messages,
) {
    let mut buffer = Vec::new();
    while let Some(packets) = read(&mut from, &mut buffer).await {
        let mut forward = Vec::new();
        for packet in &packets {
            match packet.kind() {
                3 => {
                    let message = packet::message(five, packet);
                    let same = [message.properties, message.payload].concat();
                    messages.lock().unwrap().insert(message.id, same);
                }
                4 | 7 => {
                    let mut seen = seen.lock().unwrap();
                    seen.unanswered = seen.unanswered.saturating_sub(1);
                }
                _ => {}
            }
            forward.extend(packet.bytes());
        }
        if to.lock().await.write_all(&forward).await.is_err() {
            break;
        }
    }
    let _ = to.lock().await.shutdown().await;
}

async fn read(from: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Option<Vec<Packet>> {
    match from.read_buf(buffer).await {
        Ok(count) if count > 0 => {}
        _ => return None,
    }
    Some(std::iter::from_fn(|| packet::split(buffer)).collect())
}
