//! Why a topic cannot be looked through: whose fault it is, and what to do, in one line.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use weft_api::browse::BrowseError;

use super::Plan;
use super::client::{Client, trouble};

/// What librdkafka said while `doing`.
pub(super) fn failed(plan: &Plan, client: &Client, doing: &str, error: &KafkaError) -> BrowseError {
    match error.rdkafka_error_code() {
        Some(Code::TopicAuthorizationFailed) => refused(plan),
        Some(Code::GroupAuthorizationFailed) => group_refused(plan),
        Some(
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopicId
            | Code::UnknownPartition
            | Code::InvalidTopic,
        ) => missing(plan),
        Some(Code::SaslAuthenticationFailed | Code::Authentication | Code::ClusterAuthorizationFailed) => {
            credentials(plan, &error.to_string())
        }
        Some(Code::UnknownMemberId) => BrowseError(format!(
            "kafka group `{}` has a consumer in it, and is for what Weft remembers of topic `{}`; end that consumer",
            plan.group, plan.topic
        )),
        Some(Code::OperationTimedOut | Code::TimedOutQueue | Code::RequestTimedOut) => {
            silent(plan, client, doing, None)
        }
        Some(
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::WaitingForCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
            | Code::LeaderNotAvailable,
        ) => silent(plan, client, doing, Some(&error.to_string())),
        _ => BrowseError(format!("kafka topic `{}`: {doing}: {error}", plan.topic)),
    }
}

/// Nobody answered; `last`: what librdkafka makes of it.
pub(super) fn silent(plan: &Plan, client: &Client, doing: &str, last: Option<&str>) -> BrowseError {
    let why = trouble(client).or_else(|| last.map(str::to_owned));
    let why = why.unwrap_or_else(|| "no answer in time".into());
    if why.contains("uthentication") {
        return credentials(plan, &why);
    }
    BrowseError(format!(
        "kafka {} does not answer, {doing}: {why}; see to the brokers or to the way there, and try again",
        plan.brokers
    ))
}

fn credentials(plan: &Plan, why: &str) -> BrowseError {
    BrowseError(format!(
        "kafka {} refuses our credentials: {why}; check `auth`",
        plan.brokers
    ))
}

/// The topic does not exist.
pub(super) fn missing(plan: &Plan) -> BrowseError {
    BrowseError(format!(
        "kafka topic `{}` does not exist, so nothing waits there; create it, correct `topic`, or allow `create`",
        plan.topic
    ))
}

/// The topic is not ours to read.
pub(super) fn refused(plan: &Plan) -> BrowseError {
    BrowseError(format!(
        "kafka does not let us read topic `{}`; grant Describe and Read on it",
        plan.topic
    ))
}

/// The group is not ours to commit to.
pub(super) fn group_refused(plan: &Plan) -> BrowseError {
    BrowseError(format!(
        "kafka does not let us use group `{}`, where is remembered what left topic `{}`; grant Read on the group",
        plan.group, plan.topic
    ))
}
