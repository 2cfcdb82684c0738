//! Commits, one after the other, and what their answers free.
//!
//! Owns: the thread that waits for a commit's answer, and when a commit is due.
//! Invariants
//! - A commit speaks of nothing but the stored offsets of what is assigned when librdkafka gets to it: the thread names
//!   no partition, and offsets are stored by the loop, so that nothing of an older epoch is committed (C5).
//! - There is one commit at a time, so that none can overtake another, and an answer is known to be that of the last.
//! - What is settled is free for the lane only when the answer has come (C4, `docs/adr/0012-kafka-commit-gate.md`).
//!
//! Does not know: lanes, records.
//!
//! NOTE: librdkafka answers an asynchronous commit to its callback, and the safe API of rust-rdkafka 0.39 sets none: only
//! the answers of librdkafka's own timer are heard. A synchronous commit has a queue of its own for the answer, which
//! stands behind no record.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use weft_api::crash;
use weft_api::ingress::IngressError;

use super::consumer::ConsumerLoop;
use super::context::Context;
use super::partition::Partition;

/// How long after a failed commit the next one is tried.
const AGAIN: Duration = Duration::from_millis(200);
/// How long nothing may be committed before an operator should read it; an election takes less.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread that commits, and what is under way there.
pub(super) struct Committer {
    /// `None`: closed.
    asks: Option<Sender<()>>,
    answers: Receiver<KafkaResult<()>>,
    thread: Option<JoinHandle<()>>,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    /// No commit before this, unless a part of a window waits for it; none at all while `failing`.
    next: Instant,
    /// Since when no commit has succeeded that was wanted, and why.
    failing: Option<(Instant, String)>,
}

impl Committer {
    /// Starts the thread. `wake` hears of answers.
    pub(super) fn start(
        name: &str,
        client: Arc<BaseConsumer<Context>>,
        wake: Arc<Notify>,
    ) -> Result<Committer, IngressError> {
        let (asks, asked) = channel::<()>();
        let (answer, answers) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("commit-{name}"))
            .spawn(move || {
                while asked.recv().is_ok() {
                    // Nobody listens after a drop.
                    let _ = answer.send(client.commit_consumer_state(CommitMode::Sync));
                    wake.notify_one();
                }
            })
            .map_err(|error| IngressError(format!("starting the thread that commits: {error}")))?;
        Ok(Committer {
            asks: Some(asks),
            answers,
            thread: Some(thread),
            asked: None,
            next: Instant::now(),
            failing: None,
        })
    }

    /// Takes nothing more, and waits for the answer that is under way: as long as librdkafka takes to give up.
    pub(super) fn close(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there would be one of librdkafka's bindings; what is stored is committed at the close.
            let _ = thread.join();
        }
    }

    fn nothing_to_ask(&mut self, every: Duration) {
        self.next = Instant::now() + every;
        self.failing = None;
    }

    fn ask(&mut self, every: Duration) {
        let now = Instant::now();
        self.next = now + every;
        if let Some(asks) = &self.asks
            && asks.send(()).is_ok()
        {
            self.asked = Some(now);
        }
    }

    /// Whether the last commit succeeded, once its answer is there.
    ///
    /// # Errors
    /// The thread is gone, and no answer will ever come.
    fn answer(&mut self) -> Result<Option<bool>, IngressError> {
        let Some(asked) = self.asked else { return Ok(None) };
        let answer = match self.answers.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return Ok(None),
            Err(TryRecvError::Disconnected) => {
                return Err(IngressError("the thread that commits ended".into()));
            }
        };
        self.asked = None;
        match answer {
            // That there was nothing left to commit says that all of it is.
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {
                crash::point("kafka.committed");
                self.failing = None;
                Ok(Some(true))
            }
            Err(error) => {
                tracing::debug!(%error, "committing offsets; they are committed again");
                let since = self.failing.take().map_or(asked, |(since, _)| since);
                self.failing = Some((since, error.to_string()));
                self.next = Instant::now() + AGAIN;
                Ok(Some(false))
            }
        }
    }

    fn due(&self, wanted: impl FnOnce() -> bool) -> bool {
        self.asked.is_none() && (Instant::now() >= self.next || (self.failing.is_none() && wanted()))
    }

    /// Why nothing has been committed for so long that an operator should know.
    fn trouble(&self) -> Option<String> {
        let (since, why) = match (&self.failing, self.asked) {
            (Some((since, why)), _) => (*since, why.as_str()),
            (None, Some(asked)) => (asked, "no answer"),
            (None, None) => return None,
        };
        (since.elapsed() > PATIENCE).then(|| {
            format!(
                "settled offsets are not committed ({why}); a partition waits once its window is delivered"
            )
        })
    }
}

impl ConsumerLoop {
    /// Hears the answer to the last commit: what it covers is free for the lanes.
    pub(super) fn hear_of_commits(&mut self) -> Result<(), IngressError> {
        let Some(done) = self.committer.answer()? else {
            return Ok(());
        };
        for index in 0..self.partitions.len() {
            if let Some(partition) = &mut self.partitions[index] {
                partition.committed(done);
                self.touch(index);
            }
        }
        Ok(())
    }

    pub(super) fn commit_when_due(&mut self) {
        let partitions = &self.partitions;
        let wanted = || partitions.iter().flatten().any(Partition::wants_commit);
        if self.committer.due(wanted) {
            self.commit();
        }
    }

    /// Stores the watermarks and has them committed, without waiting.
    fn commit(&mut self) {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions.iter_mut().flatten() {
            if let Some(offset) = partition.ask() {
                // Refuses logical offsets only, and a watermark is none.
                let _ =
                    list.add_partition_offset(&partition.place.0, partition.place.1, Offset::Offset(offset));
            }
        }
        let every = self.plan.section.commit_every.0;
        if list.count() == 0 {
            return self.committer.nothing_to_ask(every);
        }
        if let Err(error) = self.client.store_offsets(&list) {
            // Given up this moment: the loop learns of it with the next poll.
            tracing::debug!(%error, "storing settled offsets");
        }
        self.forget_unstored(&list);
        crash::point("kafka.stored");
        self.committer.ask(every);
    }

    /// The list says of each partition whether it was stored; one that was not is not covered by the commit.
    fn forget_unstored(&mut self, list: &TopicPartitionList) {
        for element in list.elements().iter().filter(|element| element.error().is_err()) {
            let place = (Arc::from(element.topic()), element.partition());
            if let Some(&index) = self.by_place.get(&place)
                && let Some(partition) = &mut self.partitions[index]
            {
                partition.committed(false);
            }
        }
    }

    /// Says what has kept commits from succeeding for too long.
    pub(super) fn look_at_commits(&self) {
        let voice = &self.client.context().voice;
        if !voice.waiting()
            && let Some(trouble) = self.committer.trouble()
        {
            voice.say(&trouble);
        }
    }
}
