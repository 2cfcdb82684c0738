//! What a commit covered, partition by partition.
//!
//! Owns: the commit itself, and what is read of its answer.
//! Invariant: an answer that is no plain yes is one for each partition. librdkafka fails the whole commit when one
//! partition is refused (an ACL, a deleted topic) though the brokers took the others; so what they hold is read, and only
//! what is found there counts (C4).
//! Does not know: when a commit is due (`commit`), nor what was asked for (`offsets`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::context::{Context, Place};

/// How long the brokers may take to say what is committed.
const LOOK: Duration = Duration::from_secs(2);

/// What the brokers hold for the group.
pub(super) type Held = HashMap<Place, i64>;

/// What became of a commit.
pub(super) struct Answer {
    pub(super) done: KafkaResult<()>,
    /// What was found afterwards, if that was looked at.
    pub(super) held: Option<Held>,
}

/// Which partitions a commit covered.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Covered {
    All,
    Nothing,
    /// Those of which the brokers hold what was asked for.
    Where(Held),
}

impl Covered {
    /// Whether the offset that was asked for is committed. Nothing but that offset will do: one that is higher is of a log
    /// that went back, or of the next owner.
    pub(super) fn covers(&self, place: &Place, asked: i64) -> bool {
        match self {
            Covered::All => true,
            Covered::Nothing => false,
            Covered::Where(held) => held.get(place) == Some(&asked),
        }
    }
}

/// Commits what is stored. Afterwards looks at what the brokers hold, if that is wanted or the commit failed.
pub(super) fn commit(client: &BaseConsumer<Context>, look: bool) -> Answer {
    let done = match client.commit_consumer_state(CommitMode::Sync) {
        // That there was nothing left to commit says that all of it is.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        done => done,
    };
    if done.is_ok() && !look {
        return Answer { done, held: None };
    }
    match client.committed(LOOK) {
        Ok(list) => Answer {
            done,
            held: Some(held(&list)),
        },
        Err(error) => Answer {
            done: done.and(Err(error)),
            held: None,
        },
    }
}

fn held(list: &TopicPartitionList) -> Held {
    let known = list
        .elements()
        .into_iter()
        .filter(|element| element.error().is_ok());
    known
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some(((Arc::from(element.topic()), element.partition()), offset)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_found_at_the_brokers_is_covered_and_nothing_else() {
        let place = |topic: &str| -> Place { (Arc::from(topic), 0) };
        let mut list = TopicPartitionList::new();
        for (topic, offset) in [
            ("good", Offset::Offset(7)),
            ("behind", Offset::Offset(3)),
            ("cut", Offset::Offset(900)),
            ("gone", Offset::Invalid),
        ] {
            list.add_partition(topic, 0);
            list.set_partition_offset(topic, 0, offset).unwrap();
        }
        let covered = Covered::Where(held(&list));
        assert!(covered.covers(&place("good"), 7));
        assert!(!covered.covers(&place("behind"), 4));
        assert!(!covered.covers(&place("cut"), 4), "an offset of the old log");
        assert!(!covered.covers(&place("gone"), 1));
        assert!(!covered.covers(&place("unknown"), 1));
        assert!(Covered::All.covers(&place("good"), 8));
        assert!(!Covered::Nothing.covers(&place("good"), 7));
    }
}
