//! How many records the brokers still hold for us, out of librdkafka's statistics.
//!
//! NOTE: librdkafka learns where a log ends from the answers to its fetches, and a paused partition is not fetched. So
//! the ends of those are asked for: lag that stands still while a destination does is worse than none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use crate::config::Isolation;

/// How often the ends are asked for while something is paused.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the brokers may take to answer: the consumer's thread waits, and has nothing else to do for partitions
/// that are paused.
const LOOK: Duration = Duration::from_millis(500);

/// Where the logs of paused partitions end: topic, partition, offset.
#[derive(Default)]
pub(crate) struct Ends(Mutex<Known>);

type Known = HashMap<String, HashMap<i32, i64>>;

impl Ends {
    /// Asks for the ends of `paused`, in one request a broker; without an answer the old ones stay.
    pub(crate) fn look(&self, consumer: &BaseConsumer<Context>, paused: TopicPartitionList) {
        match ends(consumer, paused) {
            Ok(ends) => *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends,
            Err(error) => tracing::debug!(%error, "asking where the logs of paused partitions end"),
        }
    }

    fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(topic)?.get(&partition).copied()
    }
}

fn ends(consumer: &BaseConsumer<Context>, mut paused: TopicPartitionList) -> KafkaResult<Known> {
    let mut known = Known::new();
    if paused.count() > 0 {
        // In place of a time: the end, as this consumer's isolation sees it.
        paused.set_all_offsets(Offset::End)?;
        for element in consumer.offsets_for_times(paused, LOOK)?.elements() {
            if let Offset::Offset(end) = element.offset() {
                known
                    .entry(element.topic().to_owned())
                    .or_default()
                    .insert(element.partition(), end);
            }
        }
    }
    Ok(known)
}

/// From where on records count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    /// From the consumer's position: what it has polled is ours, and shows as unsettled.
    Polled,
    /// From the committed offset: whoever takes a log away must know of everything that is not delivered.
    Committed,
}

/// The sum over the partitions that are ours: end of the log less where we are in it.
pub(crate) fn events(stats: &Statistics, isolation: Isolation, from: From, ends: &Ends) -> u64 {
    let ours = |p: &Partition| {
        p.partition >= 0 && matches!(p.fetch_state.as_str(), "active" | "offset-wait" | "offset-query")
    };
    let mut sum = 0;
    for (topic, found) in &stats.topics {
        for partition in found.partitions.values().filter(|p| ours(p)) {
            sum += of(partition, isolation, from, ends.of(topic, partition.partition));
        }
    }
    sum
}

/// `asked`: where the log ends, if somebody asked; the statistics may know of a newer end, or of an older one.
fn of(partition: &Partition, isolation: Isolation, from: From, asked: Option<i64>) -> u64 {
    let heard = match isolation {
        Isolation::ReadCommitted if partition.ls_offset >= 0 => partition.ls_offset,
        _ => partition.hi_offset,
    };
    let end = asked.map_or(heard, |asked| asked.max(heard));
    // Nothing polled yet: what is committed, else the log's beginning.
    let polled = Some(partition.app_offset).filter(|_| from == From::Polled);
    let position = [
        polled,
        Some(partition.committed_offset),
        Some(partition.lo_offset),
    ];
    let position = position.into_iter().flatten().find(|o| *o >= 0);
    match position {
        Some(position) if end >= 0 => u64::try_from(end - position).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Partition, Statistics, Topic};

    use super::{Ends, From, Known, events};
    use crate::config::Isolation;

    fn stats(partitions: &[(i64, i64, i64, &str)]) -> Statistics {
        let mut topic = Topic::default();
        for (number, (app, committed, hi, state)) in (0..).zip(partitions) {
            let partition = Partition {
                partition: number,
                app_offset: *app,
                committed_offset: *committed,
                hi_offset: *hi,
                ls_offset: -1001,
                lo_offset: 2,
                fetch_state: (*state).to_string(),
                ..Partition::default()
            };
            topic.partitions.insert(number, partition);
        }
        let mut stats = Statistics::default();
        stats.topics.insert("t".into(), topic);
        stats
    }

    #[test]
    fn lag_is_summed_over_our_partitions_only() {
        let stats = stats(&[
            (7, 5, 10, "active"),
            (-1001, 4, 10, "active"),
            (-1001, -1001, 10, "active"),
            (0, 0, 99, "none"),
        ]);
        assert_eq!(
            events(&stats, Isolation::ReadCommitted, From::Polled, &Ends::default()),
            3 + 6 + 8
        );
        assert_eq!(
            events(
                &stats,
                Isolation::ReadCommitted,
                From::Committed,
                &Ends::default()
            ),
            5 + 6 + 8
        );
    }

    #[test]
    fn an_end_that_is_not_known_yet_counts_nothing() {
        assert_eq!(
            events(
                &stats(&[(7, 5, -1001, "active")]),
                Isolation::ReadUncommitted,
                From::Polled,
                &Ends::default()
            ),
            0
        );
    }

    #[test]
    fn of_a_paused_partition_the_newest_end_counts() {
        let ends = |end| Ends(Known::from([("t".to_owned(), [(0, end)].into())]).into());
        let heard = || stats(&[(7, 5, 10, "active"), (7, 5, 10, "active")]);
        assert_eq!(
            events(&heard(), Isolation::ReadCommitted, From::Polled, &ends(99)),
            92 + 3
        );
        assert_eq!(
            events(&heard(), Isolation::ReadCommitted, From::Polled, &ends(9)),
            3 + 3
        );
    }
}
