//! The thread that reads: one partition after the other, from what has not left to the end as it stood.
//!
//! Owns: where the reading stands.
//! Invariants
//! - A record is given once, in ascending order, and none that has left, and none behind the end as it stood. What comes out
//!   of order (a log that went back) is passed over.
//! - Nothing is fetched ahead past librdkafka's bound; a reader that nobody asks, or that is at the end, lets go of its
//!   partition, and keeps serving its connections.
//! - A page ends as soon as there is nothing more at hand, so that nobody waits for a full one.
//!
//! Does not know: what becomes of a record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;
use weft_api::browse::{BrowseError, Held};
use weft_api::ingress::Incoming;

use super::client::{self, Client};
use super::topic::Part;
use super::{Plan, errors, place};
use crate::mapping::ingress::{Mapped, Mapper};

/// Most bytes of a page, but for its last record.
const PAGE_BYTES: u64 = 1 << 20;
/// How long one poll may take: so soon it is noticed that nobody waits any more.
const SLICE: Duration = Duration::from_millis(100);
/// After so long without being asked it lets go of its partition.
const REST: Duration = Duration::from_secs(20);
/// How often a resting reader hears what librdkafka has to say.
const LISTEN: Duration = Duration::from_secs(1);
/// From so many records that have left in a row, they are not fetched but jumped over.
const JUMP: i64 = 1000;

/// What the reader gives.
pub(super) struct Given {
    pub(super) held: Held,
    /// From here to the record no offset holds one, where some do not.
    pub(super) void_from: Option<i64>,
}

/// A page, or why there is none; an empty one is the end.
pub(super) type Page = Result<Vec<Given>, BrowseError>;

/// Where the reading stands.
pub(super) struct Reader {
    client: Arc<Client>,
    plan: Arc<Plan>,
    mapper: Mapper,
    /// The partitions to come.
    parts: VecDeque<Part>,
    current: Option<Current>,
    /// How long nothing may come.
    patience: Duration,
    /// An error that came behind records, which go first.
    failed: Option<BrowseError>,
}

/// The partition that is being read.
struct Current {
    part: Part,
    /// The next offset that has not left.
    next: i64,
    /// Behind the last record that was given.
    after: i64,
    /// librdkafka reads it.
    assigned: bool,
}

impl Reader {
    /// Reads `parts` from `from` on, a partition and an offset.
    pub(super) fn new(
        client: Arc<Client>,
        plan: Arc<Plan>,
        parts: Vec<Part>,
        from: (i32, i64),
        patience: Duration,
    ) -> Reader {
        let mut parts: VecDeque<Part> = parts.into_iter().filter(|part| part.number >= from.0).collect();
        if let Some(first) = parts.front_mut().filter(|part| part.number == from.0) {
            first.low = first.low.max(from.1);
        }
        Reader {
            client,
            mapper: Mapper::new(plan.mapping.clone()),
            plan,
            parts,
            current: None,
            patience,
            failed: None,
        }
    }

    /// Answers each of `asks` (how many records, at most) until nobody asks any more.
    pub(super) fn serve(mut self, asks: &Receiver<usize>, pages: &UnboundedSender<Page>) {
        let mut resting = false;
        loop {
            match asks.recv_timeout(if resting { LISTEN } else { REST }) {
                Ok(most) => {
                    let page = self.page(most.max(1), &|| pages.is_closed());
                    resting = page.as_ref().is_ok_and(Vec::is_empty);
                    if resting {
                        self.rest();
                    }
                    if pages.send(page).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if !resting {
                        self.rest();
                        resting = true;
                    }
                    client::listen(&self.client);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Lets go of the partition; what was fetched ahead is fetched again.
    pub(super) fn rest(&mut self) {
        if let Some(current) = &mut self.current {
            current.assigned = false;
        }
        if let Err(error) = self.client.unassign() {
            tracing::debug!(%error, "letting go of a partition that nobody asks for");
        }
    }

    pub(super) fn page(&mut self, most: usize, gone: &dyn Fn() -> bool) -> Page {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let client = self.client.clone();
        let mut page = Vec::new();
        let mut bytes = 0;
        let mut heard = Instant::now();
        while page.len() < most && bytes < PAGE_BYTES {
            match self.assign() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.fail(page, error),
            }
            match client.poll(if page.is_empty() { SLICE } else { Duration::ZERO }) {
                Some(Ok(message)) => {
                    client.context().voice.alive();
                    heard = Instant::now();
                    if let Some(given) = self.record(&message) {
                        bytes += given.held.incoming.event.size();
                        page.push(given);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    heard = Instant::now();
                    if self
                        .current
                        .as_ref()
                        .is_some_and(|current| current.part.number == number)
                    {
                        self.current = None;
                    }
                }
                Some(Err(error)) => {
                    if let Some(error) = self.judge(&error) {
                        return self.fail(page, error);
                    }
                }
                None if !page.is_empty() => break,
                None => {}
            }
            if page.is_empty() && (heard.elapsed() > self.patience || gone()) {
                return Err(errors::silent(&self.plan, &client, "reading the topic", None));
            }
        }
        Ok(page)
    }

    /// What was read goes first.
    fn fail(&mut self, page: Vec<Given>, error: BrowseError) -> Page {
        if page.is_empty() {
            return Err(error);
        }
        self.failed = Some(error);
        Ok(page)
    }

    /// Makes sure that something is being read. Returns whether there is anything more.
    fn assign(&mut self) -> Result<bool, BrowseError> {
        loop {
            if let Some(current) = self
                .current
                .as_mut()
                .filter(|current| current.next < current.part.end)
            {
                if !current.assigned {
                    let mut list = TopicPartitionList::with_capacity(1);
                    list.add_partition_offset(
                        &self.plan.topic,
                        current.part.number,
                        Offset::Offset(current.next),
                    )
                    .and_then(|()| self.client.assign(&list))
                    .map_err(|error| {
                        errors::failed(&self.plan, &self.client, "beginning to read the topic", &error)
                    })?;
                    current.assigned = true;
                }
                return Ok(true);
            }
            let Some(part) = self.parts.pop_front() else {
                self.current = None;
                return Ok(false);
            };
            let first = part.marks.next_left(part.low);
            self.current = Some(Current {
                next: first,
                after: first,
                assigned: false,
                part,
            });
        }
    }

    /// What a record is to be given as; `None` for one that is not meant.
    fn record(&mut self, message: &BorrowedMessage<'_>) -> Option<Given> {
        let offset = message.offset();
        let current = self.current.as_mut()?;
        if message.partition() != current.part.number || offset < current.next {
            return None;
        }
        if offset >= current.part.end {
            // It came in after the opening: what was there then has been read.
            current.next = current.part.end;
            return None;
        }
        let given = if current.part.marks.has_left(offset) {
            None
        } else {
            let void = current.part.marks.next_left(current.after) < offset;
            let void_from = void.then_some(current.after);
            current.after = offset + 1;
            Some(void_from)
        };
        let next = current.part.marks.next_left(offset + 1);
        if next - offset > JUMP {
            current.assigned = false;
        }
        current.next = next;
        let void_from = given?;
        let place =
            place::of(current.part.number, offset).expect("the whole topic fits, or it is not opened");
        let incoming = match self.mapper.map(message) {
            Mapped::Event(event) => Incoming::from(event),
            Mapped::Malformed(event) => Incoming {
                event,
                malformed: true,
            },
            Mapped::Dropped => return None,
        };
        let at_ms = message
            .timestamp()
            .to_millis()
            .and_then(|ms| u64::try_from(ms).ok());
        Some(Given {
            held: Held {
                place,
                incoming,
                at_ms,
            },
            void_from,
        })
    }

    /// The error of a poll, if it is one that waiting does not mend.
    fn judge(&self, error: &KafkaError) -> Option<BrowseError> {
        let code = error.rdkafka_error_code();
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
            || matches!(
                code,
                Some(
                    Code::TopicAuthorizationFailed
                        | Code::UnknownTopic
                        | Code::UnknownTopicOrPartition
                        | Code::UnknownPartition
                        | Code::UnknownTopicId
                        | Code::SaslAuthenticationFailed
                )
            );
        if fatal {
            return Some(errors::failed(
                &self.plan,
                &self.client,
                "reading the topic",
                error,
            ));
        }
        tracing::debug!(%error, topic = self.plan.topic, "reading kafka");
        None
    }
}
