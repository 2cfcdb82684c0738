//! The far end of the open-loop runs: HTTP destinations with a set capacity, each on a port of its own, which check every
//! event and tell the books. A capacity is a number of places and a service time: a request takes the place that is free
//! first, and is answered when its time there is over. So it neither depends on how busy the machine is, nor on how
//! coarse its timers are. A destination can be made a black hole: it reads requests, and answers none.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use crate::books::Books;
use crate::offer::Shape;
use crate::{Failure, event, tool};

/// How long a request takes, and how many are served at a time.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Requests at a time; the others wait for a place.
    pub places: usize,
    /// How long one keeps its place; zero answers at once.
    pub time: Duration,
}

impl Service {
    /// Answers at once.
    pub const FAST: Service = Service {
        places: 1,
        time: Duration::ZERO,
    };

    /// The most requests that it answers in a second.
    #[must_use]
    pub fn capacity(&self) -> Option<f64> {
        (!self.time.is_zero()).then(|| self.places as f64 / self.time.as_secs_f64())
    }
}

/// Destinations that run. Their thread lasts as long as the process.
pub struct Sink {
    ports: Vec<u16>,
    holes: Vec<watch::Sender<bool>>,
}

/// One destination, on the sink's thread.
struct Place {
    flow: usize,
    books: Arc<Books>,
    data: Vec<u8>,
    attributes: HashMap<String, String>,
    service: Service,
    free: RefCell<Vec<Instant>>,
    hole: watch::Receiver<bool>,
}

impl Sink {
    /// Listens on a port for each flow.
    ///
    /// # Errors
    /// A port or a thread cannot be had.
    pub fn start(books: &Arc<Books>, shape: &Shape, service: Service) -> Result<Self, Failure> {
        let (mut ports, mut holes, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for flow in 0..shape.kinds.len() {
            let port = weft_rig::free_port();
            let listener = TcpListener::bind(("127.0.0.1", port))?;
            listener.set_nonblocking(true)?;
            let (switch, hole) = watch::channel(false);
            let place = Place {
                flow,
                books: Arc::clone(books),
                data: shape.data.clone(),
                attributes: shape
                    .attributes(flow)
                    .map(|(name, value)| (format!("ce-{name}"), value.to_owned()))
                    .collect(),
                service,
                free: RefCell::new(vec![Instant::now(); service.places]),
                hole,
            };
            ports.push(port);
            holes.push(switch);
            listeners.push((listener, place));
        }
        let listen = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(serve(listeners)),
                Err(error) => tool::note(&format!("sink: {error}")),
            }
        };
        thread::Builder::new().name("sink".to_owned()).spawn(listen)?;
        Ok(Self { ports, holes })
    }

    /// Where the destination of a flow listens.
    #[must_use]
    pub fn port(&self, flow: usize) -> u16 {
        self.ports[flow]
    }

    /// Makes a destination a black hole, or lets it answer again, what it holds included.
    pub fn swallow(&self, flow: usize, on: bool) {
        self.holes[flow].send_replace(on);
    }
}

async fn serve(listeners: Vec<(TcpListener, Place)>) {
    for (listener, place) in listeners {
        tokio::task::spawn_local(accept(listener, Rc::new(place)));
    }
    std::future::pending::<()>().await;
}

async fn accept(listener: TcpListener, place: Rc<Place>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tool::note(&format!("sink: {error}")),
    };
    loop {
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => {
                tool::note(&format!("sink: accepting: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = connection.set_nodelay(true);
        let place = Rc::clone(&place);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| {
                let place = Rc::clone(&place);
                async move { Ok::<_, Infallible>(place.answer(request).await) }
            });
            // A client that hangs up is no news.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

impl Place {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let mut answer = Response::new(Full::default());
        let Ok(body) = body.collect().await else {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            return answer;
        };
        self.wait().await;
        match self.number(&head.headers, &body.to_bytes()) {
            Some(number) => self.books.arrived(self.flow, number),
            None => self.books.changed(),
        }
        *answer.status_mut() = StatusCode::NO_CONTENT;
        answer
    }

    /// Until a place was free, and its time is over.
    async fn wait(&self) {
        let mut hole = self.hole.clone();
        // The sender lives as long as the process.
        let _ = hole.wait_for(|on| !on).await;
        if self.service.time.is_zero() {
            return;
        }
        let end = {
            let mut free = self.free.borrow_mut();
            let Some(first) = free.iter_mut().min() else {
                return;
            };
            *first = (*first).max(Instant::now()) + self.service.time;
            *first
        };
        tokio::time::sleep_until(end.into()).await;
        let _ = hole.wait_for(|on| !on).await;
    }

    /// Which event it is, if it is one of ours as it was sent.
    fn number(&self, headers: &HeaderMap, body: &Bytes) -> Option<usize> {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|v| v == value);
        let whole = *body == self.data
            && is(CONTENT_TYPE.as_str(), event::CONTENT_TYPE)
            && self.attributes.iter().all(|(name, value)| is(name, value));
        let id = headers.get("ce-id").filter(|_| whole)?;
        event::number(id.as_bytes())
    }
}
