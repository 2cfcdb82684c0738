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
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::ingress::IngressError;

use super::consumer::ConsumerLoop;
use super::context::Context;
use super::partition::Partition;

/// How soon after a commit the next one may follow because records wait for it: a slow destination would have one for
/// each event, and a seldom one would let the spill fill up meanwhile, which costs the prefetch.
const SOON: Duration = Duration::from_millis(25);
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
    /// When the last one began.
    begun: Instant,
    /// No commit before this, unless somebody waits for it; none at all while `failing`.
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
            begun: Instant::now(),
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
            (self.asked, self.begun) = (Some(now), now);
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

    /// `wanted`: at once; `waited_for`: soon.
    fn due(&self, wanted: impl FnOnce() -> bool, waited_for: impl FnOnce() -> bool) -> bool {
        if self.asked.is_some() {
            return false;
        }
        let now = Instant::now();
        now >= self.next
            || (self.failing.is_none() && (wanted() || (now >= self.begun + SOON && waited_for())))
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
        let waited_for = || partitions.iter().flatten().any(Partition::waits_for_commit);
        if self.committer.due(wanted, waited_for) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EVERY: Duration = Duration::from_secs(1);

    /// A committer whose thread is the test.
    fn committer() -> (Committer, Receiver<()>, Sender<KafkaResult<()>>) {
        let (asks, asked) = channel();
        let (answer, answers) = channel();
        let committer = Committer {
            asks: Some(asks),
            answers,
            thread: None,
            asked: None,
            begun: Instant::now(),
            next: Instant::now() + EVERY,
            failing: None,
        };
        (committer, asked, answer)
    }

    fn failed() -> KafkaResult<()> {
        Err(KafkaError::ConsumerCommit(
            RDKafkaErrorCode::GroupAuthorizationFailed,
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_commit_at_a_time_however_much_is_wanted() {
        let (mut committer, asked, answer) = committer();
        assert!(!committer.due(|| false, || false));
        assert!(committer.due(|| true, || false));
        committer.ask(EVERY);
        tokio::time::advance(10 * EVERY).await;
        assert!(!committer.due(|| true, || true));
        assert_eq!(committer.answer().unwrap(), None);
        answer.send(Ok(())).unwrap();
        assert_eq!(committer.answer().unwrap(), Some(true));
        assert!(committer.due(|| false, || false));
        assert_eq!(asked.try_iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_commit_gets_one_soon_but_not_one_for_each_event() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY);
        answer.send(Ok(())).unwrap();
        committer.answer().unwrap();
        assert!(!committer.due(|| false, || true));
        tokio::time::advance(SOON).await;
        assert!(committer.due(|| false, || true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_failed_is_tried_again_after_a_pause() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY);
        answer.send(failed()).unwrap();
        assert_eq!(committer.answer().unwrap(), Some(false));
        tokio::time::advance(AGAIN / 2).await;
        assert!(!committer.due(|| true, || true), "at once would be a flood");
        tokio::time::advance(AGAIN / 2).await;
        assert!(committer.due(|| false, || false));
    }

    #[tokio::test(start_paused = true)]
    async fn that_nothing_was_left_to_commit_is_no_failure() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY);
        let nothing = KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset);
        answer.send(Err(nothing)).unwrap();
        assert_eq!(committer.answer().unwrap(), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_commits_from_succeeding_is_told_until_one_does() {
        let (mut committer, _asked, answer) = committer();
        for _ in 0..3 {
            committer.ask(EVERY);
            tokio::time::advance(PATIENCE / 2).await;
            answer.send(failed()).unwrap();
            committer.answer().unwrap();
        }
        let told = committer.trouble().unwrap();
        assert!(told.contains("authorization failed"), "{told}");
        committer.ask(EVERY);
        answer.send(Ok(())).unwrap();
        committer.answer().unwrap();
        assert_eq!(committer.trouble(), None);
        committer.ask(EVERY);
        tokio::time::advance(2 * PATIENCE).await;
        assert!(committer.trouble().unwrap().contains("no answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_its_thread_nothing_is_waited_for() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY);
        drop(answer);
        assert!(committer.answer().is_err());
    }
}
