//! How many records the brokers still hold for us, out of librdkafka's statistics.

use rdkafka::statistics::{Partition, Statistics};

use crate::config::Isolation;

/// The sum over the partitions that are ours: end of the log less the consumer's position.
pub(crate) fn events(stats: &Statistics, isolation: Isolation) -> u64 {
    let ours = |p: &&Partition| {
        p.partition >= 0 && matches!(p.fetch_state.as_str(), "active" | "offset-wait" | "offset-query")
    };
    stats
        .topics
        .values()
        .flat_map(|topic| topic.partitions.values())
        .filter(ours)
        .map(|p| of(p, isolation))
        .sum()
}

fn of(partition: &Partition, isolation: Isolation) -> u64 {
    let end = match isolation {
        Isolation::ReadCommitted if partition.ls_offset >= 0 => partition.ls_offset,
        _ => partition.hi_offset,
    };
    // Nothing polled yet: what is committed, else the log's beginning.
    let position = [
        partition.app_offset,
        partition.committed_offset,
        partition.lo_offset,
    ]
    .into_iter()
    .find(|o| *o >= 0);
    match position {
        Some(position) if end >= 0 => u64::try_from(end - position).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Partition, Statistics, Topic};

    use super::events;
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
        assert_eq!(events(&stats, Isolation::ReadCommitted), 3 + 6 + 8);
    }

    #[test]
    fn an_end_that_is_not_known_yet_counts_nothing() {
        assert_eq!(
            events(&stats(&[(7, 5, -1001, "active")]), Isolation::ReadUncommitted),
            0
        );
    }
}
