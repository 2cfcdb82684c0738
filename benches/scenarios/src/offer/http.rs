//! Events by HTTP/1.1, one a request in binary mode. An event that is due takes a connection that rests, or a new one up
//! to a bound, so that the rate does not depend on answers; what finds none is counted as not sent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Offering, Pace, Shape, TICK, complain};
use crate::books::{Answer, Books};
use crate::{Failure, event, response};

/// What one sender does.
pub struct Plan {
    /// Where to, on loopback.
    pub port: u16,
    /// The flows that it feeds, each at the rate of the pace.
    pub flows: Vec<usize>,
    /// The most connections of each flow.
    pub connections: usize,
}

/// Requests and connections of one flow.
struct Flow {
    port: u16,
    flow: usize,
    request: Vec<u8>,
    id_at: usize,
    books: Arc<Books>,
    idle: RefCell<Vec<TcpStream>>,
    busy: Cell<usize>,
    connections: usize,
}

/// Starts a sender.
#[must_use]
pub fn start(plan: Plan, shape: &Shape, books: &Arc<Books>, pace: &Arc<Pace>) -> Offering {
    let flow = |&flow: &usize| {
        let (request, id_at) = request(plan.port, shape, flow);
        Flow {
            port: plan.port,
            flow,
            request,
            id_at,
            books: Arc::clone(books),
            idle: RefCell::default(),
            busy: Cell::new(0),
            connections: plan.connections,
        }
    };
    let flows: Vec<Flow> = plan.flows.iter().map(flow).collect();
    let pace = Arc::clone(pace);
    Offering::spawn(move |stop| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(run(flows, &pace, stop)),
            Err(error) => complain("http sender", &error),
        }
    })
}

async fn run(flows: Vec<Flow>, pace: &Pace, stop: &AtomicBool) {
    let flows: Vec<Rc<Flow>> = flows.into_iter().map(Rc::new).collect();
    let mut tick = tokio::time::interval(TICK);
    let mut sent = 0;
    while !stop.load(Ordering::Acquire) {
        tick.tick().await;
        let due = pace.due(sent);
        sent += due;
        for _ in 0..due {
            for flow in &flows {
                flow.send();
            }
        }
    }
}

impl Flow {
    fn send(self: &Rc<Self>) {
        if self.busy.get() >= self.connections {
            self.books.unsent(1);
            return;
        }
        self.busy.set(self.busy.get() + 1);
        let idle = self.idle.borrow_mut().pop();
        let number = self.books.offer(self.flow);
        let flow = Rc::clone(self);
        tokio::task::spawn_local(async move {
            match flow.exchange(idle, number).await {
                Ok((status, connection)) => {
                    flow.books.answered(number, verdict(status));
                    flow.idle.borrow_mut().extend(connection);
                }
                // Nothing is known: it may have been taken.
                Err(_) => flow.books.answered(number, Answer::Unknown),
            }
            flow.busy.set(flow.busy.get() - 1);
        });
    }

    /// The status, and the connection if it can be used again.
    async fn exchange(
        &self,
        idle: Option<TcpStream>,
        number: usize,
    ) -> Result<(u16, Option<TcpStream>), Failure> {
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(("127.0.0.1", self.port)).await?;
                connection.set_nodelay(true)?;
                connection
            }
        };
        let mut request = self.request.clone();
        request[self.id_at..self.id_at + event::ID_BYTES].copy_from_slice(event::id(number).as_bytes());
        connection.write_all(&request).await?;
        let mut answer = Vec::with_capacity(1024);
        loop {
            if connection.read_buf(&mut answer).await? == 0 {
                return Err("the connection was closed without an answer".into());
            }
            if let Some(head) = response::head(&answer)?
                && answer.len() >= head.whole
            {
                return Ok((head.status, (!head.close).then_some(connection)));
            }
        }
    }
}

/// 503 and 429 say that it was not taken; 504, and whatever is not expected here, that it is not known.
fn verdict(status: u16) -> Answer {
    match status {
        200..300 => Answer::Accepted,
        429 | 503 => Answer::Refused,
        _ => Answer::Unknown,
    }
}

/// A whole request, and where its id stands.
fn request(port: u16, shape: &Shape, flow: usize) -> (Vec<u8>, usize) {
    let mut text = format!("POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    for (name, value) in shape.attributes(flow) {
        text += &format!("ce-{name}: {value}\r\n");
    }
    let (media, length) = (event::CONTENT_TYPE, shape.data.len());
    text += &format!("Content-Type: {media}\r\nContent-Length: {length}\r\nce-id: ");
    let id_at = text.len();
    text += &format!("{}\r\n\r\n", event::id(0));
    let mut request = text.into_bytes();
    request.extend(&shape.data);
    (request, id_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_room_for_any_id_where_it_says() {
        let shape = Shape::plain();
        let (request, at) = request(80, &shape, 0);
        assert_eq!(&request[at..at + event::ID_BYTES], event::id(0).as_bytes());
        assert!(request.ends_with(&shape.data));
    }

    #[test]
    fn only_a_promise_is_a_promise() {
        assert_eq!(verdict(204), Answer::Accepted);
        assert_eq!(verdict(503), Answer::Refused);
        assert_eq!(verdict(504), Answer::Unknown);
        assert_eq!(verdict(422), Answer::Unknown);
    }
}
