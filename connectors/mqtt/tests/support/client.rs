//! A small blocking client: makes sessions, publishes, and gathers what a topic gets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weft_api::event::Event;

use super::packet::{self, Packet};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    five: bool,
    pub session_present: bool,
}

impl Client {
    /// Connects; the broker may be just starting.
    pub fn connect(port: u16, five: bool, client_id: &str, clean: bool) -> Client {
        let start = Instant::now();
        loop {
            match Client::try_connect(port, five, client_id, clean) {
                Ok(client) => return client,
                Err(error) if start.elapsed() > PATIENCE => panic!("connecting to {port}: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn try_connect(port: u16, five: bool, client_id: &str, clean: bool) -> std::io::Result<Client> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&packet::connect(five, client_id, clean))?;
        let mut client = Client {
            stream,
            buffer: Vec::new(),
            five,
            session_present: false,
        };
        let connack = client.next()?;
        assert_eq!((connack.kind(), connack.body[1]), (2, 0), "CONNACK {connack:?}");
        client.session_present = connack.body[0] == 1;
        Ok(client)
    }

    /// The next packet.
    pub fn next(&mut self) -> std::io::Result<Packet> {
        loop {
            if let Some(packet) = packet::split(&mut self.buffer) {
                return Ok(packet);
            }
            let mut chunk = [0; 65_536];
            match self.stream.read(&mut chunk)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend(&chunk[..count]),
            }
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&packet::subscribe(self.five, filter, qos));
        let suback = self.next().unwrap();
        assert_eq!(suback.kind(), 9);
        assert!(suback.body.last().unwrap() <= &2, "SUBACK {suback:?}");
    }

    /// Publishes with QoS 1 or 2 and waits for the confirmations, some hundred at a time.
    pub fn publish_all(&mut self, topic: &str, qos: u8, events: &[Event]) {
        for chunk in events.chunks(16) {
            let mut bytes = Vec::new();
            for (id, event) in (1..).zip(chunk) {
                bytes.extend(packet::event_publish(self.five, qos, topic, id, event));
            }
            self.publish(&bytes, if qos == 0 { 0 } else { chunk.len() });
        }
    }

    /// Sends packets, and waits for so many confirmations.
    pub fn publish(&mut self, bytes: &[u8], mut confirmations: usize) {
        let mut writer = self.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || writer.write_all(bytes).unwrap());
            while confirmations > 0 {
                let answer = self.next().unwrap();
                match answer.kind() {
                    4 | 7 => confirmations -= 1,
                    5 => {
                        let [high, low] = answer.id().to_be_bytes();
                        self.stream.write_all(&[0x62, 2, high, low]).unwrap();
                    }
                    other => panic!("kind {other}"),
                }
            }
        });
    }

    pub fn disconnect(mut self) {
        self.send(&[0xe0, 0]);
        // Until the broker has closed, too: then the session is free.
        while self.next().is_ok() {}
    }
}

/// Makes a session that is subscribed and waits.
pub fn session(port: u16, five: bool, client_id: &str, filter: &str, qos: u8) {
    let mut client = Client::connect(port, five, client_id, false);
    client.subscribe(filter, qos);
    client.disconnect();
}

/// Gathers what a topic gets as it comes, over restarts of the broker.
pub struct Gatherer {
    port: u16,
    five: bool,
    topic: String,
    got: Arc<Mutex<Vec<Event>>>,
}

impl Gatherer {
    /// Subscribes; everything that is published from now on is kept for it. Its thread ends with the process.
    pub fn new(port: u16, five: bool, topic: &str) -> Gatherer {
        let client_id = format!("{topic}-gatherer");
        session(port, five, &client_id, topic, 1);
        let got: Arc<Mutex<Vec<Event>>> = Arc::default();
        let shared = got.clone();
        std::thread::spawn(move || {
            loop {
                match Client::try_connect(port, five, &client_id, false) {
                    Ok(client) => gather(client, five, &shared),
                    Err(_) if Arc::strong_count(&shared) == 1 => return,
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        Gatherer {
            port,
            five,
            topic: topic.to_owned(),
            got,
        }
    }

    /// Everything up to a mark that it publishes itself.
    pub fn all(&self, mark: &Event) -> Vec<Event> {
        let mut writer = Client::connect(self.port, self.five, &format!("{}-mark", self.topic), true);
        writer.publish_all(&self.topic, 1, std::slice::from_ref(mark));
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let mut got = self.got.lock().unwrap();
            if let Some(at) = got.iter().position(|event| event.id() == mark.id()) {
                got.remove(at);
                return got.clone();
            }
            drop(got);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the mark does not come");
    }
}

/// Until the connection ends.
fn gather(mut client: Client, five: bool, got: &Mutex<Vec<Event>>) {
    while let Ok(packet) = client.next() {
        if packet.kind() != 3 {
            continue;
        }
        let message = packet::message(five, &packet);
        got.lock().unwrap().push(packet::event(five, &message));
        if message.qos > 0 {
            let [high, low] = message.id.to_be_bytes();
            if client.stream.write_all(&[0x40, 2, high, low]).is_err() {
                return;
            }
        }
    }
}
