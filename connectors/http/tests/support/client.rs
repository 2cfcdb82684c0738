//! A client that sends exactly the bytes it is given, and reads one answer.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// One connection.
pub struct Client {
    tcp: TcpStream,
    read: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub async fn connect(address: &str) -> Client {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        Client {
            tcp,
            read: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.tcp.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Whether the peer still takes bytes; hostile clients do not care.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.tcp.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next answer; `None` when the connection ends before one begins.
    pub async fn answer(&mut self) -> Option<Answer> {
        soon(self.read_answer()).await
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                assert!(
                    self.read.is_empty(),
                    "half an answer: {:?}",
                    String::from_utf8_lossy(&self.read)
                );
                return None;
            }
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .map_or(0, |(_, v)| v.parse().unwrap());
        while self.read.len() < length {
            assert!(self.more().await, "the body broke off");
        }
        let body = self.read.drain(..length).collect();
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.tcp.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend_from_slice(&piece[..count]);
                true
            }
        }
    }

    /// Sends and reads one answer.
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer()
            .await
            .expect("the connection was closed without an answer")
    }

    /// Returns once the peer has closed; anything that it still says is a fault.
    pub async fn closed(&mut self) {
        soon(async { while self.more().await {} }).await;
        assert!(
            self.read.is_empty(),
            "the peer said more: {:?}",
            String::from_utf8_lossy(&self.read)
        );
    }
}

/// A request's text; `content-length` is added where no framing is given.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let framed = headers
        .iter()
        .any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding"));
    if !framed {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// What makes a binary-mode request an event.
pub const CE: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "1"),
    ("ce-source", "/s"),
    ("ce-type", "t"),
];

/// A binary-mode request with further headers.
pub fn binary(headers: &[(&str, &str)], body: &str) -> String {
    let all: Vec<(&str, &str)> = CE.iter().chain(headers).copied().collect();
    request("POST", "/", &all, body)
}

/// One request on a connection of its own.
pub async fn ask(address: &str, request: impl AsRef<[u8]>) -> Answer {
    Client::connect(address).await.ask(request).await
}
