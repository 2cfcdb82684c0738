//! The tasks of connectors: started, watched, restarted with backoff, replaced, stopped.
//!
//! A connector that returns an error or panics takes nothing with it: its lanes close, its batches come back as
//! unknown, and it is built anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weft_api::connector::{EgressBuilder, IngressBuilder};
use weft_api::egress::EgressContext;
use weft_api::ingress::{IngressContext, Lanes, RequestLanes};
use weft_api::status::Report;
use weft_api::stop::{Phase, StopHandle};

use super::report::Post;
use crate::delivery::batch::Outlet;
use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::origin::Port;
use crate::lane::admit::CurrentGate;
use crate::lane::books::Pulse;
use crate::lane::request::RequestLaneSet;
use crate::lane::stream::StreamLanes;

mod restart;

use restart::{Failures, flatten};

/// How long a replaced connector may take to settle what it has taken in.
const REPLACE_DRAIN: Duration = Duration::from_secs(10);
const REPLACE_POLL: Duration = Duration::from_millis(20);

/// What a supervisor is told; the number tells lives of `Run` apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Run(u64),
    Drain,
    Stop,
}

struct Command<B: ?Sized> {
    orders: watch::Sender<Order>,
    builder: Arc<Mutex<Arc<B>>>,
    task: JoinHandle<()>,
}

/// A supervised ingress.
pub struct RunningIngress(Command<dyn IngressBuilder>);

/// A supervised egress.
pub struct RunningEgress(Command<dyn EgressBuilder>);

/// What the router lends to an ingress, whatever client it has.
pub struct Hands {
    /// Where its legs report.
    pub port: Arc<Port>,
    /// What its events meet.
    pub gate: CurrentGate,
    /// What scrapes read.
    pub pulse: Arc<Pulse>,
    /// The byte budget.
    pub budget: Arc<Budget>,
    /// For jitter.
    pub seed: u64,
}

impl RunningIngress {
    /// Starts it.
    pub fn start(builder: Arc<dyn IngressBuilder>, hands: Hands, post: Arc<Post>) -> RunningIngress {
        let slot = Arc::new(Mutex::new(builder));
        let (orders, rx) = watch::channel(Order::Run(0));
        let task = tokio::spawn(supervise_ingress(Arc::clone(&slot), hands, post, rx));
        RunningIngress(Command {
            orders,
            builder: slot,
            task,
        })
    }

    /// Takes nothing more in.
    pub fn drain(&self) {
        self.0.orders.send_replace(Order::Drain);
    }

    /// Drains it, and starts it again with another builder.
    pub fn replace(&self, builder: Arc<dyn IngressBuilder>) {
        self.0.replace(builder);
    }

    /// Ends it; cancels its task if that takes longer than `grace`.
    pub async fn stop(self, grace: Duration) {
        self.0.stop(grace).await;
    }
}

impl RunningEgress {
    /// Starts it; `seed` is for jitter.
    pub fn start(
        destination: Arc<Destination>,
        builder: Arc<dyn EgressBuilder>,
        post: Arc<Post>,
        seed: u64,
    ) -> RunningEgress {
        let slot = Arc::new(Mutex::new(builder));
        let (orders, rx) = watch::channel(Order::Run(0));
        let task = tokio::spawn(supervise_egress(Arc::clone(&slot), destination, post, seed, rx));
        RunningEgress(Command {
            orders,
            builder: slot,
            task,
        })
    }

    /// Ends its client once nothing is in flight there, and starts another.
    pub fn replace(&self, builder: Arc<dyn EgressBuilder>) {
        self.0.replace(builder);
    }

    /// Ends it; cancels its task if that takes longer than `grace`.
    pub async fn stop(self, grace: Duration) {
        self.0.stop(grace).await;
    }
}

impl<B: ?Sized> Command<B> {
    fn replace(&self, builder: Arc<B>) {
        *self.builder.lock().unwrap_or_else(PoisonError::into_inner) = builder;
        self.orders.send_modify(|order| {
            if let Order::Run(life) = order {
                *life += 1;
            }
        });
    }

    async fn stop(mut self, grace: Duration) {
        self.orders.send_replace(Order::Stop);
        if tokio::time::timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
            // The connector's own task is aborted with it ([`Cancelling`]).
            let _ = (&mut self.task).await;
        }
    }
}

impl<B: ?Sized> Drop for Command<B> {
    fn drop(&mut self) {
        // Whoever drops it without a word wants it gone now.
        self.task.abort();
    }
}

fn current<B: ?Sized>(slot: &Mutex<Arc<B>>) -> Arc<B> {
    Arc::clone(&slot.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The life that is ordered now; `None` where there shall be none, or nobody is left to order anything.
fn wanted(orders: &mut watch::Receiver<Order>) -> Option<u64> {
    let order = *orders.borrow_and_update();
    match order {
        Order::Run(life) if orders.has_changed().is_ok() => Some(life),
        _ => None,
    }
}

/// The next order. Never returns again once it has said that there is nobody to give any.
async fn next_order(orders: &mut watch::Receiver<Order>, orphaned: &mut bool) -> Order {
    if *orphaned {
        std::future::pending::<()>().await;
    }
    if orders.changed().await.is_ok() {
        return *orders.borrow_and_update();
    }
    *orphaned = true;
    Order::Stop
}

async fn supervise_ingress(
    slot: Arc<Mutex<Arc<dyn IngressBuilder>>>,
    hands: Hands,
    post: Arc<Post>,
    mut orders: watch::Receiver<Order>,
) {
    let mut failures = Failures::new(hands.seed);
    while let Some(life) = wanted(&mut orders) {
        let started = Instant::now();
        let result = match current(&slot).build() {
            Err(why) => Err(why),
            Ok(ingress) => {
                let (handle, stop) = StopHandle::new();
                let context = hands.context(&post, stop);
                let task = tokio::spawn(async move { ingress.run(context).await.map_err(|error| error.0) });
                watch_ingress(task, life, &handle, &hands.pulse, &mut orders).await
            }
        };
        failures.wait(result, started, life, &post, &mut orders).await;
    }
}

/// Passes orders on until the ingress has returned.
async fn watch_ingress(
    task: JoinHandle<Result<(), String>>,
    life: u64,
    handle: &StopHandle,
    pulse: &Pulse,
    orders: &mut watch::Receiver<Order>,
) -> Result<(), String> {
    let mut task = Cancelling(task);
    let mut orphaned = false;
    let mut replaced_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            ended = &mut task.0 => return flatten(ended),
            order = next_order(orders, &mut orphaned) => {
                match order {
                    Order::Run(now) if now == life => {}
                    Order::Run(_) => {
                        handle.advance(Phase::Draining);
                        replaced_at = replaced_at.or(Some(Instant::now()));
                    }
                    Order::Drain => handle.advance(Phase::Draining),
                    Order::Stop => handle.advance(Phase::Stopped),
                }
            }
            () = tokio::time::sleep(REPLACE_POLL), if replaced_at.is_some() => {
                let settled = pulse.unsettled.load(std::sync::atomic::Ordering::Relaxed) == 0;
                if settled || replaced_at.is_some_and(|at| at.elapsed() >= REPLACE_DRAIN) {
                    handle.advance(Phase::Stopped);
                }
            }
        }
    }
}

async fn supervise_egress(
    slot: Arc<Mutex<Arc<dyn EgressBuilder>>>,
    destination: Arc<Destination>,
    post: Arc<Post>,
    seed: u64,
    mut orders: watch::Receiver<Order>,
) {
    let mut failures = Failures::new(seed);
    while let Some(life) = wanted(&mut orders) {
        let started = Instant::now();
        let result = match current(&slot).build() {
            Err(why) => Err(why),
            Ok(egress) => {
                let (handle, stop) = StopHandle::new();
                let client = destination.install(egress.profile(), egress.direct());
                let outlet = Box::new(Outlet::new(Arc::clone(&destination), client));
                let report: Arc<dyn Report> = Arc::clone(&post) as Arc<dyn Report>;
                let context = EgressContext::new(Arc::clone(&destination.name), stop, report, outlet);
                let task = tokio::spawn(async move { egress.run(context).await.map_err(|error| error.0) });
                let ended = watch_egress(task, life, &handle, &destination, client, &mut orders).await;
                destination.uninstall(client);
                ended
            }
        };
        if let Err(why) = &result
            && *orders.borrow() == Order::Run(life)
        {
            destination.client_failed(why);
        }
        failures.wait(result, started, life, &post, &mut orders).await;
    }
}

async fn watch_egress(
    task: JoinHandle<Result<(), String>>,
    life: u64,
    handle: &StopHandle,
    destination: &Destination,
    client: u64,
    orders: &mut watch::Receiver<Order>,
) -> Result<(), String> {
    let mut task = Cancelling(task);
    let mut orphaned = false;
    let mut replaced_at: Option<Instant> = None;
    loop {
        tokio::select! {
            biased;
            ended = &mut task.0 => return flatten(ended),
            order = next_order(orders, &mut orphaned) => {
                match order {
                    Order::Run(now) if now == life => {}
                    Order::Run(_) => {
                        destination.uninstall(client);
                        replaced_at = replaced_at.or(Some(Instant::now()));
                    }
                    Order::Drain => {}
                    Order::Stop => {
                        destination.uninstall(client);
                        handle.advance(Phase::Stopped);
                    }
                }
            }
            () = until(replaced_at.map(|at| at + REPLACE_DRAIN)) => {
                handle.advance(Phase::Stopped);
                replaced_at = None;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Hands {
    fn context(&self, post: &Arc<Post>, stop: weft_api::stop::Stop) -> IngressContext {
        let (port, gate, pulse) = (
            Arc::clone(&self.port),
            Arc::clone(&self.gate),
            Arc::clone(&self.pulse),
        );
        let budget = Arc::clone(&self.budget);
        let streams = StreamLanes::new(
            Arc::clone(&port),
            Arc::clone(&gate),
            Arc::clone(&budget),
            Arc::clone(&pulse),
            self.seed,
        );
        IngressContext {
            name: Arc::clone(&self.port.name),
            lanes: Lanes::new(Box::new(streams)),
            requests: RequestLanes::new(Arc::new(RequestLaneSet::new(port, gate, budget, pulse))),
            stop,
            report: Arc::clone(post) as Arc<dyn Report>,
        }
    }
}

/// Ends a connector's task with its supervisor.
struct Cancelling(JoinHandle<Result<(), String>>);

impl Drop for Cancelling {
    fn drop(&mut self) {
        self.0.abort();
    }
}
