//! A topic as it stands when it is opened: its partitions, their ends, and what has left them.
//!
//! Owns: the questions to the brokers before anything is read, under one deadline.
//! Invariants: an end is what a reader of committed records sees, so that it is always reached; marks that do not belong to
//! this log are void, for what counts as left is never seen again. Everything here blocks.
//! Does not know: records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use weft_api::browse::BrowseError;

use super::client::{self, Client};
use super::marks::Marks;
use super::{Plan, errors, place};

/// How long the group's coordinator is waited for before librdkafka is asked what is wrong.
const SLICE: Duration = Duration::from_millis(500);

/// One partition as it stands.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) number: i32,
    /// The first offset that is still there.
    pub(super) low: i64,
    /// Behind the last one.
    pub(super) end: i64,
    pub(super) marks: Marks,
}

/// Whose word is needed about what has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Memory {
    /// Without it, all is shown that is there.
    Wanted,
    /// Without it, nothing may be taken.
    Needed,
}

/// Asks for everything.
///
/// # Errors
/// Who did not answer, or what was refused.
pub(super) fn open(
    client: &Client,
    plan: &Plan,
    memory: Memory,
    until: Instant,
) -> Result<Vec<Part>, BrowseError> {
    let numbers = partitions(client, plan, until)?;
    let low = ends(client, plan, &numbers, Offset::Beginning, until)?;
    let high = ends(client, plan, &numbers, Offset::End, until)?;
    let mut parts = Vec::with_capacity(numbers.len());
    for (number, (low, end)) in numbers.into_iter().zip(low.into_iter().zip(high)) {
        if end > place::OFFSET_END || number >= place::PARTITION_END {
            return Err(BrowseError(format!(
                "kafka topic `{}` has more than a place can name: partition {number} up to offset {end}; look at it with another tool",
                plan.topic
            )));
        }
        parts.push(Part {
            number,
            low,
            end,
            marks: Marks::at(low),
        });
    }
    match recall(client, plan, &mut parts, until) {
        Err(Recall::Refused) if memory == Memory::Wanted => {
            tracing::warn!(
                topic = plan.topic,
                group = plan.group,
                "kafka does not tell what has left the topic, and all is shown; grant Describe on the group"
            );
        }
        Err(Recall::Refused) => return Err(errors::group_refused(plan)),
        Err(Recall::Failed(error)) => return Err(error),
        Ok(()) => {}
    }
    Ok(parts)
}

/// The topic's partitions, or the one that the file names.
fn partitions(client: &Client, plan: &Plan, until: Instant) -> Result<Vec<i32>, BrowseError> {
    let metadata = client
        .fetch_metadata(Some(&plan.topic), left(until))
        .map_err(|error| {
            client::listen(client);
            errors::failed(plan, client, "asking for the topic", &error)
        })?;
    let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == plan.topic) else {
        return Err(errors::missing(plan));
    };
    if let Some(code) = topic.error().map(Code::from) {
        let error = rdkafka::error::KafkaError::MetadataFetch(code);
        return Err(errors::failed(plan, client, "asking for the topic", &error));
    }
    let mut numbers: Vec<i32> = topic
        .partitions()
        .iter()
        .map(|partition| partition.id())
        .collect();
    numbers.sort_unstable();
    match plan.partition {
        None => Ok(numbers),
        Some(only) if numbers.contains(&only) => Ok(vec![only]),
        Some(only) => Err(BrowseError(format!(
            "kafka topic `{}` has {} partitions, and {only} is none of them; correct `partition`",
            plan.topic,
            numbers.len()
        ))),
    }
}

/// Where each of the partitions begins or ends, in their order.
pub(super) fn ends(
    client: &Client,
    plan: &Plan,
    numbers: &[i32],
    which: Offset,
    until: Instant,
) -> Result<Vec<i64>, BrowseError> {
    const DOING: &str = "asking where the topic begins and ends";
    let failed = |error| errors::failed(plan, client, DOING, &error);
    let mut asked = list(plan, numbers);
    // In place of a time.
    asked.set_all_offsets(which).map_err(failed)?;
    let answer = client.offsets_for_times(asked, left(until)).map_err(failed)?;
    let mut ends = Vec::with_capacity(numbers.len());
    for number in numbers {
        let found = answer.find_partition(&plan.topic, *number);
        let Some(element) = found else {
            return Err(errors::silent(plan, client, DOING, None));
        };
        element.error().map_err(failed)?;
        match element.offset() {
            Offset::Offset(offset) => ends.push(offset),
            _ => return Err(errors::silent(plan, client, DOING, None)),
        }
    }
    Ok(ends)
}

/// Why nothing is known of what has left.
enum Recall {
    /// The group is not ours to ask.
    Refused,
    Failed(BrowseError),
}

/// Reads what has left, as the group's commits say.
fn recall(client: &Client, plan: &Plan, parts: &mut [Part], until: Instant) -> Result<(), Recall> {
    const DOING: &str = "reading what has left the topic";
    let numbers: Vec<i32> = parts.iter().map(|part| part.number).collect();
    let committed = loop {
        let answer = client.committed_offsets(list(plan, &numbers), SLICE.min(left(until)));
        let error = match answer {
            Ok(committed) => break committed,
            Err(error) => error,
        };
        // A coordinator that is not told to us is said in the queue only.
        client::listen(client);
        if client.context().group_refused()
            || error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed)
        {
            return Err(Recall::Refused);
        }
        if Instant::now() >= until {
            return Err(Recall::Failed(errors::failed(plan, client, DOING, &error)));
        }
    };
    for part in parts {
        let Some(element) = committed.find_partition(&plan.topic, part.number) else {
            continue;
        };
        match element.error() {
            Err(error) if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) => {
                return Err(Recall::Refused);
            }
            Err(error) => return Err(Recall::Failed(errors::failed(plan, client, DOING, &error))),
            Ok(()) => {}
        }
        if let Offset::Offset(offset) = element.offset() {
            match understand(part, offset, metadata(&element)) {
                Ok(marks) => part.marks = marks,
                Err((marks, why)) => {
                    part.marks = marks;
                    tracing::warn!(
                        topic = plan.topic,
                        partition = part.number,
                        group = plan.group,
                        "some of what left kafka shows again: {why}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// What a commit says of a partition; or as much of it as may be believed, and why not all.
fn understand(part: &Part, offset: i64, metadata: Option<String>) -> Result<Marks, (Marks, String)> {
    let text = metadata.ok_or("the commit's metadata is no text".to_owned());
    let read = text.and_then(|text| {
        Marks::read(offset, &text).map_err(|why| format!("the commit's metadata cannot be read, {why}"))
    });
    let (mut marks, why) = match read {
        Ok(marks) => (marks, None),
        Err(why) => (Marks::at(offset), Some(why)),
    };
    if marks.end() > part.end {
        // Another log: it was made anew, or was cut. What it holds now has not left.
        let why = format!(
            "offset {} is marked, and the log ends at {}",
            marks.end() - 1,
            part.end
        );
        return Err((Marks::at(part.low), why));
    }
    marks.raise(part.low);
    match why {
        None => Ok(marks),
        Some(why) => Err((marks, why)),
    }
}

/// The metadata as text. The binding panics at what is no UTF-8, and any client of the group can commit it.
fn metadata(element: &TopicPartitionListElem<'_>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).ok()
}

/// The topic's partitions as librdkafka wants them.
fn list(plan: &Plan, numbers: &[i32]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(numbers.len());
    for number in numbers {
        list.add_partition(&plan.topic, *number);
    }
    list
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(low: i64, end: i64) -> Part {
        Part {
            number: 0,
            low,
            end,
            marks: Marks::at(low),
        }
    }

    fn said(low: i64, end: i64, offset: i64, text: &str) -> (Marks, bool) {
        match understand(&part(low, end), offset, Some(text.to_owned())) {
            Ok(marks) => (marks, true),
            Err((marks, _)) => (marks, false),
        }
    }

    #[test]
    fn what_was_committed_is_believed_within_the_log() {
        let (marks, all) = said(0, 20, 5, "weft1:2+3");
        assert!(all && marks.has_left(4) && !marks.has_left(5) && marks.has_left(9) && !marks.has_left(10));
        let (marks, all) = said(0, 10, 10, "");
        assert!(all && marks.next() == 10, "all of it has left");
    }

    #[test]
    fn what_retention_took_is_no_longer_marked() {
        let (marks, all) = said(8, 20, 5, "weft1:2+3,4");
        assert!(all);
        assert_eq!((marks.next(), marks.end()), (10, 15));
        assert_eq!(said(100, 120, 5, "weft1:2+3").0, Marks::at(100));
    }

    #[test]
    fn marks_of_another_log_are_void() {
        assert_eq!(said(0, 4, 5, ""), (Marks::at(0), false));
        assert_eq!(said(2, 9, 5, "weft1:2+3"), (Marks::at(2), false));
    }

    #[test]
    fn foreign_metadata_leaves_the_offset_alone() {
        assert_eq!(said(0, 9, 5, "someone else's"), (Marks::at(5), false));
        assert!(matches!(understand(&part(0, 9), 5, None), Err((marks, _)) if marks == Marks::at(5)));
    }
}
