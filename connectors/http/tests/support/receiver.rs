//! A receiver that is scripted connection by connection, byte by byte.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came in, and on which connection (counted from 0).
#[derive(Clone, Debug)]
pub struct Request {
    pub connection: usize,
    pub head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What to do with a request.
pub enum Say {
    /// Exactly these bytes, and go on.
    Bytes(Vec<u8>),
    /// These bytes, then close.
    Last(Vec<u8>),
    /// Nothing, and keep the connection open.
    Nothing,
    /// Close without a word.
    Close,
}

pub fn status(status: u16, headers: &str, body: &str) -> Say {
    let length = body.len();
    Say::Bytes(format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes())
}

/// A running receiver.
pub struct Receiver {
    pub address: String,
    pub seen: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub async fn start(script: impl Fn(&Request) -> Say + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, all) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((tcp, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(serve(tcp, connection, script.clone(), all.clone()));
            }
        });
        Receiver { address, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut tcp: TcpStream,
    connection: usize,
    script: Arc<impl Fn(&Request) -> Say>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    let mut read = Vec::new();
    while let Some(request) = next(&mut tcp, connection, &mut read).await {
        let say = script(&request);
        seen.lock().unwrap().push(request);
        match say {
            Say::Bytes(bytes) => tcp.write_all(&bytes).await.unwrap(),
            Say::Last(bytes) => return tcp.write_all(&bytes).await.unwrap(),
            Say::Nothing => {}
            Say::Close => return,
        }
    }
}

async fn next(tcp: &mut TcpStream, connection: usize, read: &mut Vec<u8>) -> Option<Request> {
    let mut piece = [0; 4096];
    let end = loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match tcp.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8(read.drain(..end).collect()).unwrap();
    let mut request = Request {
        connection,
        head,
        body: Vec::new(),
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    while read.len() < length {
        match tcp.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => read.extend_from_slice(&piece[..count]),
        }
    }
    request.body = read.drain(..length).collect();
    Some(request)
}
