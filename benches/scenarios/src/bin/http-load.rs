//! Sends events by HTTP, one a request in binary mode, over connections that stay open, and says how fast and how late.
//!
//! Without `--rate` each connection sends its next event when the last one is answered. With it, events have a time table
//! that does not wait for answers: what is sent late because its connection was busy counts from when it was due.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weft_scenarios::{Failure, event, response, tool};

/// Sends events by HTTP.
#[derive(Parser)]
struct Args {
    /// Where to, on loopback.
    #[arg(long)]
    port: u16,
    /// The path of the requests.
    #[arg(long, default_value = "/")]
    path: String,
    /// How many events.
    #[arg(long)]
    events: usize,
    /// The number of the first one.
    #[arg(long, default_value_t = 0)]
    first: usize,
    /// Over how many connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Events per second over all connections; as fast as the answers allow if absent.
    #[arg(long)]
    rate: Option<f64>,
}

/// What all connections share.
struct Load {
    sent: usize,
    latencies: Vec<Duration>,
    errors: usize,
    first_error: Option<String>,
}

fn main() -> Result<(), Failure> {
    let args = Rc::new(Args::parse());
    tool::end_with_driver();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let load = Rc::new(RefCell::new(Load {
        sent: 0,
        latencies: Vec::with_capacity(args.events),
        errors: 0,
        first_error: None,
    }));
    let began = Instant::now();
    runtime.block_on(async {
        let senders: Vec<_> = (0..args.connections)
            .map(|_| tokio::task::spawn_local(send(args.clone(), load.clone(), began)))
            .collect();
        for sender in senders {
            sender.await?;
        }
        Ok::<_, Failure>(())
    })?;
    report(&mut load.borrow_mut(), began.elapsed());
    Ok(())
}

fn report(load: &mut Load, took: Duration) {
    load.latencies.sort_unstable();
    let at = |per_mille: usize| {
        let last = load.latencies.len().saturating_sub(1);
        let latency = load.latencies.get(last * per_mille / 1000);
        latency.copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    let rate = load.latencies.len() as f64 / took.as_secs_f64();
    tool::say(&format!(
        "rate={rate:.0} p50={:.3} p99={:.3} max={:.3} delivered={} errors={} first_error={}",
        at(500),
        at(990),
        at(1000),
        load.latencies.len(),
        load.errors,
        load.first_error.as_deref().unwrap_or("none").replace(' ', "_"),
    ));
}

/// One connection. A failure ends it, and counts with its event: a run with errors has no figures anyway.
async fn send(args: Rc<Args>, load: Rc<RefCell<Load>>, began: Instant) {
    if let Err(error) = exchange(&args, &load, began).await {
        let mut load = load.borrow_mut();
        load.errors += 1;
        load.first_error.get_or_insert(error.to_string());
    }
}

async fn exchange(args: &Args, load: &RefCell<Load>, began: Instant) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", args.port)).await?;
    stream.set_nodelay(true)?;
    let (mut request, id_at) = request(args);
    let mut answer = Vec::with_capacity(4096);
    let mut free = began;
    loop {
        let number = {
            let mut load = load.borrow_mut();
            if load.sent == args.events {
                return Ok(());
            }
            load.sent += 1;
            load.sent - 1
        };
        let mut since = Instant::now();
        if let Some(rate) = args.rate {
            let due = began + Duration::from_secs_f64(number as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
            // The runtime's clock ticks in milliseconds: its being late is ours, a busy connection is not.
            since = if free > due { due } else { Instant::now() };
        }
        request[id_at..id_at + event::ID_BYTES].copy_from_slice(event::id(args.first + number).as_bytes());
        stream.write_all(&request).await?;
        answered(&mut stream, &mut answer).await?;
        free = Instant::now();
        load.borrow_mut().latencies.push(free - since);
    }
}

async fn answered(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Failure> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err("the connection was closed without an answer".into());
        }
        let Some(head) = response::head(answer)? else {
            continue;
        };
        if answer.len() < head.whole {
            continue;
        }
        if !(200..300).contains(&head.status) || head.close {
            return Err(answer.escape_ascii().to_string().into());
        }
        return Ok(());
    }
}

/// A whole request, and where its id stands.
fn request(args: &Args) -> (Vec<u8>, usize) {
    let data = event::data();
    let mut text = format!("POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", args.path, args.port);
    for (name, value) in event::ATTRIBUTES {
        text += &format!("ce-{name}: {value}\r\n");
    }
    text += &format!(
        "Content-Type: {}\r\nContent-Length: {}\r\nce-id: ",
        event::CONTENT_TYPE,
        data.len()
    );
    let id_at = text.len();
    text += &format!("{}\r\n\r\n", event::id(0));
    let mut request = text.into_bytes();
    request.extend(data);
    (request, id_at)
}
