//! Whose fault a failed record is (C10): librdkafka's codes to [`SendError`]s.

use rdkafka::types::RDKafkaErrorCode as Code;
use weft_api::outcome::{Reason, SendError};

/// What is known about the record that failed.
pub(crate) struct Failed<'a> {
    /// The topic that it was for.
    pub(crate) topic: &'a str,
    /// The topic came out of a template: then a bad one is the event's fault.
    pub(crate) templated: bool,
    /// Why the client is being thrown away, if it is.
    pub(crate) why: Option<&'a str>,
    /// The reason that goes with `why`.
    pub(crate) reason: Reason,
    /// What is wrong with the brokers, as far as is known.
    pub(crate) trouble: Option<String>,
}

/// The error of one record. Too large is not decided here: a batch may be too large whose records are not.
pub(crate) fn classify(code: Code, failed: &Failed<'_>) -> SendError {
    let topic = failed.topic;
    match code {
        Code::MessageSizeTooLarge => too_large(topic),
        // A record's time is that of our clock, so the event has no part in it, and the next one fares no better (C31).
        Code::InvalidTimestamp => SendError::destination(
            Reason::Misconfigured,
            format!(
                "kafka topic `{topic}` refuses the time of this machine's clock: correct the clock here or there, or the topic's message.timestamp.after.max.ms"
            ),
        ),
        Code::InvalidRecord | Code::PolicyViolation => SendError::event(
            Reason::Refused,
            format!("kafka topic `{topic}` refuses the record: {code}"),
        ),
        Code::InvalidDifferentRecord => SendError::destination(
            Reason::Failed,
            format!("kafka topic `{topic}` refused another record of the same batch; this one is sent again"),
        ),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic => {
            missing(topic, failed.templated)
        }
        Code::TopicAuthorizationFailed => refused(topic, failed.templated),
        Code::ClusterAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::GroupAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => SendError::destination(
            Reason::Unauthorised,
            format!("kafka refuses our credentials for topic `{topic}`: {code}; check `auth` and the ACLs"),
        ),
        // Purged by us. Even what is back in the queue may have been sent once.
        Code::PurgeQueue | Code::PurgeInflight | Code::Fatal | Code::GaplessGuarantee => gone(failed),
        Code::MessageTimedOut | Code::OperationTimedOut | Code::RequestTimedOut => {
            SendError::destination(Reason::Timeout, with_trouble(failed, "did not confirm in time"))
                .maybe_delivered()
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ThrottlingQuotaExceeded => {
            SendError::destination(Reason::Overloaded, format!("kafka topic `{topic}`: {code}"))
                .maybe_delivered()
        }
        other => {
            SendError::destination(Reason::Reset, with_trouble(failed, &other.to_string())).maybe_delivered()
        }
    }
}

/// The record alone is more than the topic takes.
pub(crate) fn too_large(topic: &str) -> SendError {
    SendError::event(
        Reason::TooLarge,
        format!(
            "the record is larger than kafka topic `{topic}` takes; raise the topic's max.message.bytes, or lower limits.event"
        ),
    )
}

/// The topic does not exist.
pub(crate) fn missing(topic: &str, templated: bool) -> SendError {
    let text = format!("kafka topic `{topic}` does not exist; create it, correct `topic`, or allow `create`");
    if templated {
        SendError::event(Reason::Address, text)
    } else {
        SendError::destination(Reason::Misconfigured, text)
    }
}

/// The topic is not ours to write to.
pub(crate) fn refused(topic: &str, templated: bool) -> SendError {
    let text = format!("kafka does not let us write to topic `{topic}`; grant Describe and Write on it");
    if templated {
        SendError::event(Reason::Address, text)
    } else {
        SendError::destination(Reason::Unauthorised, text)
    }
}

/// Everything on its way is given back because the client is thrown away.
pub(crate) fn gone(failed: &Failed<'_>) -> SendError {
    let why = failed.why.unwrap_or("the Kafka client was thrown away");
    SendError::destination(failed.reason, with_trouble(failed, why)).maybe_delivered()
}

fn with_trouble(failed: &Failed<'_>, what: &str) -> String {
    match &failed.trouble {
        Some(trouble) => format!("kafka topic `{}`: {what} ({trouble})", failed.topic),
        None => format!("kafka topic `{}`: {what}", failed.topic),
    }
}

#[cfg(test)]
mod tests {
    use weft_api::outcome::Fault;

    use super::*;

    fn blame(code: Code, templated: bool) -> (Fault, Reason, bool) {
        let failed = Failed {
            topic: "orders",
            templated,
            why: None,
            reason: Reason::Reset,
            trouble: None,
        };
        let error = classify(code, &failed);
        assert!(
            error.detail.contains("orders"),
            "{code} does not name the topic: {error}"
        );
        (error.fault, error.reason, error.maybe_delivered)
    }

    #[test]
    fn each_failure_is_the_fault_of_who_can_mend_it() {
        use Fault::{Destination, Event};
        for (code, templated, expected) in [
            (Code::MessageSizeTooLarge, false, (Event, Reason::TooLarge, false)),
            (Code::InvalidRecord, false, (Event, Reason::Refused, false)),
            (
                Code::InvalidTimestamp,
                false,
                (Destination, Reason::Misconfigured, false),
            ),
            (
                Code::UnknownTopicOrPartition,
                false,
                (Destination, Reason::Misconfigured, false),
            ),
            (
                Code::UnknownTopicOrPartition,
                true,
                (Event, Reason::Address, false),
            ),
            (
                Code::TopicAuthorizationFailed,
                false,
                (Destination, Reason::Unauthorised, false),
            ),
            (
                Code::TopicAuthorizationFailed,
                true,
                (Event, Reason::Address, false),
            ),
            (
                Code::ClusterAuthorizationFailed,
                true,
                (Destination, Reason::Unauthorised, false),
            ),
            (Code::MessageTimedOut, false, (Destination, Reason::Timeout, true)),
            (
                Code::BrokerTransportFailure,
                false,
                (Destination, Reason::Reset, true),
            ),
        ] {
            assert_eq!(blame(code, templated), expected, "{code}");
        }
    }

    #[test]
    fn what_is_purged_may_have_been_delivered() {
        // A record that is queued again after a broken connection was sent once.
        for code in [Code::PurgeQueue, Code::PurgeInflight] {
            assert_eq!(blame(code, false), (Fault::Destination, Reason::Reset, true));
        }
    }
}
