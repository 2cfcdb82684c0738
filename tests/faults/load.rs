//! The senders: each sends the events `0..events` until every one of them is acknowledged, over outages of whatever it
//! talks to, and writes into the ledger what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use weft_rig::{Kafka, Python, PythonProcess};

use crate::event::{self, KEYS, SIZE};
use crate::ledger::Ledger;
use crate::runtime;
use crate::support::LIMIT;

/// Connections of the HTTP sender, with one request at a time each: what may be unanswered at once.
pub(crate) const CLIENTS: usize = 64;
/// What a flood has unconfirmed at most.
pub(crate) const FLOOD_WINDOW: usize = 500;
/// Records that are produced in one go, and how far ahead of the arrivals the next go begins: so that the router has work
/// until the end, however slow its receivers are, and is never done before a strike.
const CHUNK: usize = 1_000;
/// Between two attempts where nobody listens, or nothing is taken.
const PAUSE: Duration = Duration::from_millis(20);
const POLL: Duration = Duration::from_millis(50);
/// Past the deadline of an ingress.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// A sender that is under way. Dropping it ends it.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Posts to an address, each event by itself in binary mode.
    /// Each lane has as many clients of its own as the others, for what its destination owns.
    /// `ahead`: so many events may be acknowledged and not have arrived; then it waits.
    pub(crate) fn http(
        host: &str,
        port: u16,
        (events, lanes, ahead): (usize, usize, usize),
        ledger: &Arc<Ledger>,
    ) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let lists: Vec<_> = (0..lanes)
            .map(|lane| {
                (0..events)
                    .filter(|number| event::owner(*number, lanes) == lane)
                    .collect()
            })
            .map(|numbers: Vec<usize>| Arc::new((numbers, AtomicUsize::new(0))))
            .collect();
        for client in 0..CLIENTS {
            let (stop, ledger, list) = (
                Arc::clone(&stop),
                Arc::clone(ledger),
                Arc::clone(&lists[client % lanes]),
            );
            let address = format!("{host}:{port}");
            runtime::get().spawn(async move {
                let mut connection = None;
                loop {
                    let (numbers, next) = &*list;
                    let Some(&number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    let waits = || ledger.read(|account| account.acknowledged >= account.progress() + ahead);
                    while !stop.load(Ordering::Relaxed)
                        && (waits() || !post(&mut connection, &address, number, &ledger).await)
                    {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            });
        }
        Load {
            stop,
            threads: Vec::new(),
        }
    }

    /// Produces to a topic. `more` gives further records that go in front of an event (poison).
    /// Several lanes are several partitions. `waits`: it keeps to the pace of the arrivals.
    pub(crate) fn kafka(
        kafka: &Kafka,
        topic: &str,
        (events, lanes, waits): (usize, usize, bool),
        ledger: &Arc<Ledger>,
        more: More,
    ) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let (kafka, topic, ended, ledger) = (
            kafka.clone(),
            topic.to_owned(),
            Arc::clone(&stop),
            Arc::clone(ledger),
        );
        let thread = thread::spawn(move || {
            for from in (0..events).step_by(CHUNK) {
                while waits && from >= ledger.progress() + CHUNK && !ended.load(Ordering::Relaxed) {
                    thread::park_timeout(PAUSE);
                }
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let numbers = from..events.min(from + CHUNK);
                let mut records = Vec::with_capacity(CHUNK);
                for number in numbers.clone() {
                    records.extend(more(&topic, number));
                    let record = event::record(&topic, number);
                    let lane = i32::try_from(event::owner(number, lanes)).expect("lanes are few");
                    records.push(if lanes > 1 { record.partition(lane) } else { record });
                }
                kafka.produce(&records);
                numbers.for_each(|number| ledger.acknowledged(number));
            }
        });
        Load {
            stop,
            threads: vec![thread],
        }
    }

    /// Runs a flood of the rig.
    pub(crate) fn script(flood: Python, events: usize, ledger: &Arc<Ledger>) -> Load {
        let flood = flood
            .option("--count", events)
            .option("--window", FLOOD_WINDOW)
            .option("--keys", KEYS)
            .option("--size", SIZE)
            .flag("--ledger");
        let stop = Arc::new(AtomicBool::new(false));
        let (mut process, ended, ledger) = (flood.spawn(), Arc::clone(&stop), Arc::clone(ledger));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let line = match process.poll_line(POLL) {
                    Some(line) => line,
                    None if process.has_ended() => return,
                    None => continue,
                };
                numbers(&line, "acked").for_each(|number| ledger.acknowledged(number));
                if line.get("done").is_some() {
                    // What a script sent again it counts, as far as its library lets it know.
                    let sent = line["sent"].as_u64().unwrap_or(0) as usize;
                    (events..sent).for_each(|_| ledger.sent_again(None));
                    return;
                }
            }
        });
        Load {
            stop,
            threads: vec![thread],
        }
    }
}

/// What goes into a topic in front of an event.
pub(crate) type More = fn(&str, usize) -> Vec<weft_rig::Record>;

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its panic has been printed; the ledger shows what it did not send.
            let _ = thread.join();
        }
    }
}

/// The numbers under a name in a line of a script.
pub(crate) fn numbers<'a>(line: &'a serde_json::Value, name: &str) -> impl Iterator<Item = usize> + 'a {
    let list = line.get(name).and_then(serde_json::Value::as_array);
    let numbers = list.into_iter().flatten();
    numbers.filter_map(|n| usize::try_from(n.as_u64()?).ok())
}

/// One attempt; whether the event is acknowledged.
async fn post(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    address: &str,
    number: usize,
    ledger: &Ledger,
) -> bool {
    let mut sender = match connection.take() {
        Some(sender) => sender,
        None => match connect(address).await {
            Some(sender) => sender,
            None => return false,
        },
    };
    if sender.ready().await.is_err() {
        return false;
    }
    match tokio::time::timeout(ANSWER_LIMIT, exchange(&mut sender, number)).await {
        Ok(Ok(StatusCode::NO_CONTENT | StatusCode::ACCEPTED)) => {
            ledger.acknowledged(number);
            *connection = Some(sender);
            true
        }
        Ok(Ok(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)) => {
            ledger.refused();
            *connection = Some(sender);
            false
        }
        // 504, a connection that broke, no answer at all: it may have been taken.
        _ => {
            ledger.sent_again(Some(number));
            false
        }
    }
}

async fn connect(address: &str) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(driver);
    Some(sender)
}

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, number: usize) -> hyper::Result<StatusCode> {
    let mut request = Request::post("/")
        .header(HOST, "weft")
        .header(CONTENT_TYPE, event::CONTENT_TYPE);
    for (name, value) in event::attributes(number) {
        request = request.header(format!("ce-{name}"), value);
    }
    let body = Full::new(Bytes::from(event::data(number)));
    let request = request.body(body).expect("plain ASCII");
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    Ok(status)
}

/// Waits for a line of a script that has a field.
pub(crate) fn until(process: &mut PythonProcess, field: &str) {
    while process.next_line(LIMIT).get(field).is_none() {}
}
