//! The plain loop of HTTP to HTTP: a request comes in, the same request goes out, the answer goes back. hyper on both
//! sides, a runtime, a lane of connections and a pool of clients for each worker thread, and nothing else: no routes, no
//! retries, no validation, no metrics. It is what anybody would write by hand, and what the router is held against.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use weft_scenarios::{Failure, serve, tool};

/// Forwards every request to another port.
#[derive(Parser, Clone)]
struct Args {
    /// Where it listens, on loopback.
    #[arg(long)]
    port: u16,
    /// Where it sends to, on loopback.
    #[arg(long)]
    to: u16,
    /// Worker threads.
    #[arg(long)]
    threads: usize,
}

/// One worker's clients. What rests here has no request under way.
struct Clients {
    to: u16,
    host: HeaderValue,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let host = HeaderValue::from_str(&format!("127.0.0.1:{}", args.to))?;
    let worker = move || Clients {
        to: args.to,
        host: host.clone(),
        idle: RefCell::default(),
    };
    serve::serve(args.port, args.threads, worker, answer)?;
    Ok(())
}

async fn answer(clients: Rc<Clients>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    clients.forward(request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(Full::new(Bytes::from(error.to_string())));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    })
}

impl Clients {
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Failure> {
        let (mut head, body) = request.into_parts();
        end_to_end(&mut head.headers);
        head.headers.insert(HOST, self.host.clone());
        let body = body.collect().await?.to_bytes();
        let mut client = self.client().await?;
        let answer = client
            .send_request(Request::from_parts(head, Full::new(body)))
            .await?;
        let (mut head, body) = answer.into_parts();
        end_to_end(&mut head.headers);
        let body = body.collect().await?.to_bytes();
        self.idle.borrow_mut().push(client);
        Ok(Response::from_parts(head, Full::new(body)))
    }

    async fn client(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        loop {
            let Some(mut client) = self.idle.borrow_mut().pop() else {
                break;
            };
            if client.ready().await.is_ok() {
                return Ok(client);
            }
        }
        let stream = TcpStream::connect(("127.0.0.1", self.to)).await?;
        stream.set_nodelay(true)?;
        let (client, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        tokio::task::spawn_local(connection);
        Ok(client)
    }
}

/// Removes what is about the one connection only.
fn end_to_end(headers: &mut HeaderMap) {
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}
