//! What the router holds of one look through a topic: pages come from one thread, what leaves goes to another.
//!
//! Owns: what was read and not returned yet, and which places were given.
//! Invariants: no call blocks; a call that is given up loses nothing; only what was given can be removed.
//! Does not know: the client, but for its threads.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use weft_api::browse::{BrowseError, Browser, Held};

use super::keeper::Keeper;
use super::reader::{Given, Page, Reader};
use super::topic::{self, Memory};
use super::{Plan, errors, place};

/// How long the brokers may take to say what the topic is.
const OPEN: Duration = Duration::from_secs(10);
/// How much longer it may take by ourselves: the first commit among it.
const OPEN_MORE: Duration = Duration::from_secs(5);
/// How long nothing may come to somebody who looks.
const LOOK: Duration = Duration::from_secs(10);
/// How long nothing may come to who takes: a broker that is started again should not end a job.
const TAKE: Duration = Duration::from_secs(30);
/// Most offsets without records that are remembered beside the record behind them. Of further ones the marks take more
/// room, no more.
const VOIDS_MAX: usize = 65_536;

/// What it is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To look, from this place on.
    Look(u64),
    /// To take out.
    Take,
}

/// A [`Browser`] of a topic.
pub(super) struct TopicBrowser {
    asks: Sender<usize>,
    pages: UnboundedReceiver<Page>,
    /// A page is under way.
    asked: bool,
    ready: VecDeque<Given>,
    /// The last place that was given.
    last: Option<u64>,
    /// Of given records: where the offsets before them begin that hold none.
    voids: HashMap<u64, i64>,
    /// `None`: it only looks.
    keeper: Option<Keeper>,
}

impl TopicBrowser {
    /// Starts the thread that reads, and waits until it has opened the topic.
    pub(super) async fn open(plan: Arc<Plan>, purpose: Purpose) -> Result<TopicBrowser, BrowseError> {
        let (asks, asked) = channel();
        let (page, pages) = unbounded_channel();
        let (opened, open) = oneshot::channel();
        let brokers = plan.brokers.clone();
        std::thread::Builder::new()
            .name(format!("look-{}", plan.topic))
            .spawn(move || run(plan, purpose, opened, &asked, &page))
            .map_err(|error| BrowseError(format!("starting a thread that reads: {error}")))?;
        let keeper = match tokio::time::timeout(OPEN + OPEN_MORE, open).await {
            Ok(Ok(opened)) => opened?,
            Ok(Err(_)) => return Err(BrowseError("the thread that reads kafka panicked".to_owned())),
            Err(_) => {
                return Err(BrowseError(format!(
                    "kafka {brokers} does not answer; see to the brokers or to the way there, and try again"
                )));
            }
        };
        Ok(TopicBrowser {
            asks,
            pages,
            asked: false,
            ready: VecDeque::new(),
            last: None,
            voids: HashMap::new(),
            keeper,
        })
    }
}

#[async_trait]
impl Browser for TopicBrowser {
    async fn next(&mut self, most: usize) -> Result<Vec<Held>, BrowseError> {
        if self.ready.is_empty() {
            if !self.asked {
                self.asks.send(most).map_err(|_| ended())?;
                self.asked = true;
            }
            let page = self.pages.recv().await;
            self.asked = false;
            self.ready.extend(page.ok_or_else(ended)??);
        }
        let count = self.ready.len().min(most.max(1));
        let mut page = Vec::with_capacity(count);
        for given in self.ready.drain(..count) {
            self.last = Some(given.held.place);
            if let (Some(from), true) = (
                given.void_from,
                self.keeper.is_some() && self.voids.len() < VOIDS_MAX,
            ) {
                self.voids.insert(given.held.place, from);
            }
            page.push(given.held);
        }
        Ok(page)
    }

    fn remove(&mut self, place: u64) {
        let Some(keeper) = &self.keeper else {
            tracing::warn!(place, "nothing leaves a topic that is only looked through");
            return;
        };
        if self.last.is_none_or(|last| place > last) {
            tracing::warn!(place, "what was not taken cannot leave a topic");
            return;
        }
        let (partition, offset) = place::split(place);
        let from = self.voids.remove(&place).unwrap_or(offset);
        keeper.remove(partition, from, offset);
    }

    async fn close(mut self: Box<Self>) -> Result<(), BrowseError> {
        match self.keeper.take() {
            Some(keeper) => keeper.close().await,
            None => Ok(()),
        }
    }
}

fn ended() -> BrowseError {
    BrowseError("the thread that reads kafka has ended".to_owned())
}

/// The thread: opens the topic, says so, and reads what is asked for.
fn run(
    plan: Arc<Plan>,
    purpose: Purpose,
    opened: oneshot::Sender<Result<Option<Keeper>, BrowseError>>,
    asked: &Receiver<usize>,
    pages: &UnboundedSender<Page>,
) {
    match start(&plan, purpose) {
        Ok((reader, keeper)) => {
            if opened.send(Ok(keeper)).is_ok() {
                reader.serve(asked, pages);
            }
        }
        // Nobody listens any more where it took too long.
        Err(error) => drop(opened.send(Err(error))),
    }
}

fn start(plan: &Arc<Plan>, purpose: Purpose) -> Result<(Reader, Option<Keeper>), BrowseError> {
    let client = Arc::new(plan.connect()?);
    let (memory, from, patience) = match purpose {
        Purpose::Look(from) => (Memory::Wanted, place::split(from), LOOK),
        Purpose::Take => (Memory::Needed, (0, 0), TAKE),
    };
    let parts = topic::open(&client, plan, memory, Instant::now() + OPEN)?;
    let keeper = match purpose {
        Purpose::Take if parts.is_empty() => return Err(errors::missing(plan)),
        Purpose::Take => Some(Keeper::start(client.clone(), plan.clone(), &parts)?),
        Purpose::Look(_) => None,
    };
    Ok((Reader::new(client, plan.clone(), parts, from, patience), keeper))
}
