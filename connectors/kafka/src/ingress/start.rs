//! Where partitions begin for which the group has committed nothing.
//!
//! librdkafka has one setting for "no committed offset" and "the committed offset is gone"; `latest` would then skip
//! records after an outage longer than the retention. So that setting stays at `earliest`, and `latest` and a time are
//! looked up here, once, when a partition comes.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use crate::config::Start;

/// How long one look-up may take.
const LOOKUP: Duration = Duration::from_secs(10);
/// How long a look may take that nothing depends on.
const LOOK: Duration = Duration::from_secs(2);
/// How often a look-up is tried before the ingress gives up and is started anew.
const ATTEMPTS: u32 = 3;

/// Gives the partitions without a committed offset the one where `start` says, and logs what that skips.
///
/// # Errors
/// What could not be found out: beginning at the wrong place would skip records, so the caller must not go on.
pub(crate) fn place(
    consumer: &BaseConsumer<Context>,
    list: &mut TopicPartitionList,
    start: Start,
) -> Result<(), String> {
    if list.count() == 0 {
        return Ok(());
    }
    let committed = again("reading the group's committed offsets", || {
        consumer.committed_offsets(list.clone(), LOOKUP)
    })?;
    for (topic, partition) in fresh(&committed)? {
        let (low, high) = again("reading the ends of a partition", || {
            consumer.fetch_watermarks(&topic, partition, LOOKUP)
        })?;
        let first = match start {
            Start::Earliest => low,
            Start::Latest => high,
            Start::Time(ms) => at_time(consumer, &topic, partition, ms)?.unwrap_or(high),
        };
        list.set_partition_offset(&topic, partition, Offset::Offset(first))
            .map_err(|error| format!("setting the first offset of {topic}/{partition}: {error}"))?;
        tracing::info!(topic, partition, start = %start, offset = first, skipped = first - low, "kafka partition begins");
    }
    Ok(())
}

/// Says which partitions begin after what the group has committed: what is in between was acknowledged, and is gone. A
/// look only: without an answer nothing is said, and the client begins at the oldest record that is there.
pub(crate) fn tell_lost(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
    let Ok(committed) = consumer.committed_offsets(list.clone(), LOOK) else {
        return;
    };
    for element in committed.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let Offset::Offset(offset) = element.offset() else {
            continue;
        };
        // Brokers that do not answer are not asked for each partition.
        let Ok((low, _)) = consumer.fetch_watermarks(topic, partition, LOOK) else {
            return;
        };
        if low > offset {
            tracing::error!(
                topic,
                partition,
                from = offset,
                to = low,
                lost = low - offset,
                "events of a store are gone before anybody delivered them: the topic's retention was shorter than the outage \
                 (set retention.ms to more than the longest, or to -1)"
            );
        }
    }
}

/// The partitions for which nothing is committed. The brokers answer for each partition: one whose offset they could
/// not tell has no offset in the answer either, and must not be taken for one that never had any.
fn fresh(committed: &TopicPartitionList) -> Result<Vec<(String, i32)>, String> {
    let mut fresh = Vec::new();
    for element in committed.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        element
            .error()
            .map_err(|error| format!("reading the committed offset of {topic}/{partition}: {error}"))?;
        if !matches!(element.offset(), Offset::Offset(_)) {
            fresh.push((topic.to_string(), partition));
        }
    }
    Ok(fresh)
}

/// The first offset that is not older than `ms`; `None` if all are older.
fn at_time(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
    ms: i64,
) -> Result<Option<i64>, String> {
    let mut asked = TopicPartitionList::with_capacity(1);
    asked
        .add_partition_offset(topic, partition, Offset::Offset(ms))
        .map_err(|error| format!("asking for the offset at a time: {error}"))?;
    let answer = again("looking up the offset at a time", || {
        consumer.offsets_for_times(asked.clone(), LOOKUP)
    })?;
    let found = answer
        .elements()
        .into_iter()
        .find_map(|element| match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        });
    Ok(found)
}

fn again<T>(
    doing: &str,
    mut lookup: impl FnMut() -> Result<T, rdkafka::error::KafkaError>,
) -> Result<T, String> {
    let mut attempt = 1;
    loop {
        match lookup() {
            Ok(found) => return Ok(found),
            Err(error) if attempt == ATTEMPTS => return Err(format!("{doing}: {error}")),
            Err(_) => attempt += 1,
        }
    }
}
