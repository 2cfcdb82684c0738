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
//!
//! NOTE: librdkafka leaves a stored offset out of a commit when it lies before the last one that was committed. After a log
//! went back (a topic made anew, a log that was cut) the loop names that partition in a commit of its own, which joins
//! librdkafka's queue before any later revoke, and the thread reads whether it was taken.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::ingress::IngressError;

use super::answer::{Answer, Covered, commit};
use super::consumer::ConsumerLoop;
use super::context::{Context, Place};
use super::partition::Partition;

/// How soon after a commit the next one may follow because records wait for it: a slow destination would have one for
/// each event, and a seldom one would let the spill fill up meanwhile, which costs the prefetch.
const SOON: Duration = Duration::from_millis(25);
/// How long after a failed commit the next one is tried.
const AGAIN: Duration = Duration::from_millis(200);
/// How long nothing may be committed before an operator should read it; an election takes less.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is said of a commit that succeeds and leaves a partition out.
const BACK: &str = "its log went back, and the group's offset did not follow";

/// The thread that commits, and what is under way there.
pub(super) struct Committer {
    /// `None`: closed.
    asks: Option<Sender<bool>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    /// When the last one began.
    begun: Instant,
    /// No commit before this, unless somebody waits for it.
    next: Instant,
    /// Since when a commit that was wanted has not succeeded, or not for each partition, and why.
    failing: Option<(Instant, String)>,
}

impl Committer {
    /// Starts the thread. `wake` hears of answers.
    pub(super) fn start(
        name: &str,
        client: Arc<BaseConsumer<Context>>,
        wake: Arc<Notify>,
    ) -> Result<Committer, IngressError> {
        let (asks, asked) = channel();
        let (answer, answers) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("commit-{name}"))
            .spawn(move || {
                while let Ok(look) = asked.recv() {
                    // Nobody listens after a drop.
                    let _ = answer.send(commit(&client, look));
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

    /// `look`: what is committed must be read, whatever the commit says.
    fn ask(&mut self, every: Duration, look: bool) {
        let now = Instant::now();
        self.next = now + every;
        if let Some(asks) = &self.asks
            && asks.send(look).is_ok()
        {
            (self.asked, self.begun) = (Some(now), now);
        }
    }

    /// What the last commit covered, once its answer is there.
    ///
    /// # Errors
    /// The thread is gone, and no answer will ever come.
    fn answer(&mut self) -> Result<Option<Covered>, IngressError> {
        let Some(asked) = self.asked else { return Ok(None) };
        let answer = match self.answers.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return Ok(None),
            Err(TryRecvError::Disconnected) => {
                return Err(IngressError("the thread that commits ended".into()));
            }
        };
        self.asked = None;
        match answer.done {
            Ok(()) => {
                crash::point("kafka.committed");
                match &mut self.failing {
                    // Known to be over only when each partition was found.
                    Some((_, why)) if answer.held.is_some() => *why = BACK.into(),
                    failing => *failing = None,
                }
            }
            Err(error) => {
                tracing::debug!(%error, "committing offsets; they are committed again");
                self.failed(asked, error.to_string());
                if answer.held.is_none() {
                    return Ok(Some(Covered::Nothing));
                }
            }
        }
        Ok(Some(answer.held.map_or(Covered::All, Covered::Where)))
    }

    fn failed(&mut self, now: Instant, why: String) {
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, why));
        self.next = Instant::now() + AGAIN;
    }

    /// The last commit did not cover this partition.
    fn missed(&mut self, place: &Place) {
        let why = self.failing.as_ref().map_or(BACK, |(_, why)| why);
        let why = format!("{}/{}: {why}", place.0, place.1);
        self.failed(Instant::now(), why);
    }

    /// `wanted`: at once; `waited_for`: soon.
    fn due(&self, wanted: impl FnOnce() -> bool, waited_for: impl FnOnce() -> bool) -> bool {
        if self.asked.is_some() {
            return false;
        }
        let now = Instant::now();
        now >= self.next || wanted() || (now >= self.begun + SOON && waited_for())
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
        let Some(covered) = self.committer.answer()? else {
            return Ok(());
        };
        let mut missed = None;
        for index in 0..self.partitions.len() {
            if let Some(partition) = &mut self.partitions[index]
                && let Some(asked) = partition.asked()
            {
                let done = covered.covers(&partition.place, asked);
                partition.committed(done);
                if !done && covered != Covered::Nothing {
                    missed = Some(partition.place.clone());
                }
                self.touch(index);
            }
        }
        if let Some(place) = missed {
            self.committer.missed(&place);
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
        let back = self.commit_back();
        self.committer.ask(every, back);
    }

    /// Has partitions committed whose log went back: librdkafka would leave them out. Returns whether there are any.
    fn commit_back(&self) -> bool {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions.iter().flatten() {
            if let Some(offset) = partition.asked_back() {
                let (topic, number) = (&partition.place.0, partition.place.1);
                tracing::warn!(%topic, partition = number, offset, "the log went back, and the group's offset follows");
                // Refuses logical offsets only, and a watermark is none.
                let _ = list.add_partition_offset(topic, number, Offset::Offset(offset));
            }
        }
        if list.count() > 0
            && let Err(error) = self.client.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "committing offsets that went back");
        }
        list.count() > 0
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
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::ingress::answer::Held;

    const EVERY: Duration = Duration::from_secs(1);

    /// A committer whose thread is the test.
    fn committer() -> (Committer, Receiver<bool>, Sender<Answer>) {
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

    fn done() -> Answer {
        Answer {
            done: Ok(()),
            held: None,
        }
    }

    fn failed() -> Answer {
        let error = RDKafkaErrorCode::GroupAuthorizationFailed;
        Answer {
            done: Err(KafkaError::ConsumerCommit(error)),
            held: None,
        }
    }

    fn place(topic: &str) -> Place {
        (Arc::from(topic), 0)
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_commit_at_a_time_however_much_is_wanted() {
        let (mut committer, asked, answer) = committer();
        assert!(!committer.due(|| false, || false));
        assert!(committer.due(|| true, || false));
        committer.ask(EVERY, false);
        tokio::time::advance(10 * EVERY).await;
        assert!(!committer.due(|| true, || true));
        assert_eq!(committer.answer().unwrap(), None);
        answer.send(done()).unwrap();
        assert_eq!(committer.answer().unwrap(), Some(Covered::All));
        assert!(committer.due(|| false, || false));
        assert_eq!(asked.try_iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_commit_gets_one_soon_but_not_one_for_each_event() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY, false);
        answer.send(done()).unwrap();
        committer.answer().unwrap();
        assert!(!committer.due(|| false, || true));
        tokio::time::advance(SOON).await;
        assert!(committer.due(|| false, || true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_failed_is_tried_again_after_a_pause() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY, false);
        answer.send(failed()).unwrap();
        assert_eq!(committer.answer().unwrap(), Some(Covered::Nothing));
        tokio::time::advance(AGAIN / 2).await;
        assert!(!committer.due(|| false, || false));
        tokio::time::advance(AGAIN / 2).await;
        assert!(committer.due(|| false, || false));
    }

    #[tokio::test(start_paused = true)]
    async fn one_partition_that_is_refused_is_told_and_does_not_hold_the_others_up() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY, false);
        let mut refused = failed();
        refused.held = Some(Held::from([
            (place("good"), 7),
            (place("bad"), 3),
            (place("cut"), 900),
        ]));
        answer.send(refused).unwrap();
        let covered = committer.answer().unwrap().unwrap();
        assert!(covered.covers(&place("good"), 7));
        assert!(!covered.covers(&place("bad"), 4));
        committer.missed(&place("bad"));
        assert!(committer.due(|| true, || false), "another one may go on");
        tokio::time::advance(2 * PATIENCE).await;
        let told = committer.trouble().unwrap();
        assert!(
            told.contains("bad/0: ") && told.contains("authorization failed"),
            "{told}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_commit_that_succeeds_without_the_one_that_went_back_is_told_and_tried_again() {
        let (mut committer, asked, answer) = committer();
        for _ in 0..3 {
            committer.ask(EVERY, true);
            assert_eq!(asked.try_recv(), Ok(true));
            let mut without = done();
            without.held = Some(Held::from([(place("cut"), 900)]));
            answer.send(without).unwrap();
            assert!(!committer.answer().unwrap().unwrap().covers(&place("cut"), 4));
            committer.missed(&place("cut"));
            tokio::time::advance(PATIENCE / 2).await;
            assert!(committer.due(|| false, || false));
        }
        let told = committer.trouble().unwrap();
        assert_eq!(told.matches("cut/0: its log went back").count(), 1, "{told}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_commits_from_succeeding_is_told_until_one_does() {
        let (mut committer, _asked, answer) = committer();
        for _ in 0..3 {
            committer.ask(EVERY, false);
            tokio::time::advance(PATIENCE / 2).await;
            answer.send(failed()).unwrap();
            committer.answer().unwrap();
        }
        let told = committer.trouble().unwrap();
        assert!(told.contains("authorization failed"), "{told}");
        committer.ask(EVERY, false);
        answer.send(done()).unwrap();
        committer.answer().unwrap();
        assert_eq!(committer.trouble(), None);
        committer.ask(EVERY, false);
        tokio::time::advance(2 * PATIENCE).await;
        assert!(committer.trouble().unwrap().contains("no answer"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_its_thread_nothing_is_waited_for() {
        let (mut committer, _asked, answer) = committer();
        committer.ask(EVERY, false);
        drop(answer);
        assert!(committer.answer().is_err());
    }
}
