//! The keys of a destination beside its connector's section, and those of groups.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weft_api::config::{ByteSize, HumanDuration};

use super::{Budget, Dedupe, Keep, OrderBy, Rate, Unavailable};

/// The keys of a destination with a connector.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DestinationKeys {
    /// How failed events are sent again.
    pub retry: Retry,
    /// How much may wait for this destination.
    pub queue: Queue,
    /// Which events keep their order: those with the same value of this.
    pub order_by: OrderBy,
    /// How events are gathered into batches, within what the connector can take.
    pub batch: Batch,
    /// When sending stops for a while.
    pub breaker: Breaker,
    /// How fast events are sent; absent: as fast as the remote takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Which repetitions are not sent; absent: all are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// At most once: an event counts as delivered as soon as it was handed over.
    pub lossy: bool,
    /// Whether events are kept until this destination has them: they are acknowledged once they are on this router's disk,
    /// or in a topic of Kafka. `true` or `{}`: on the disk, with all defaults.
    #[serde(skip_serializing_if = "Keep::is_off")]
    pub store: Keep,
}

/// How failed events are sent again: exponential waits with full jitter.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often an event may fail by its own fault before it is refused for good; the first sending counts.
    pub attempts: NonZeroU32,
    /// The longest first wait.
    pub initial: HumanDuration,
    /// The longest wait.
    pub max: HumanDuration,
    /// How long an event waits for a destination that is down; such failures use up no attempt.
    pub unavailable: Unavailable,
    /// How much of the traffic may be sent again while the breaker is closed.
    pub budget: Budget,
}

/// How much may wait for a destination or be on its way to it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// In events; at least 1.
    pub events: NonZeroU32,
    /// In bytes.
    pub bytes: ByteSize,
}

/// How events are gathered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// Most events of a batch; absent: what the connector can take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<NonZeroU32>,
    /// Most bytes of a batch; absent: what the connector can take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteSize>,
    /// How long a batch that is not full waits for more.
    pub linger: HumanDuration,
}

/// When sending stops for a while, and single events probe.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: NonZeroU32,
    /// The first wait before a probe.
    pub initial: HumanDuration,
    /// The longest wait before a probe.
    pub max: HumanDuration,
}

/// The keys beside `anycast:`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct AnycastKeys {
    /// How a member is chosen. Absent: `weighted` where a weight is given, else `round_robin`.
    pub(in crate::config) policy: Option<PolicyWord>,
    /// What `hash` hashes.
    pub(in crate::config) order_by: Option<OrderBy>,
    /// What happens to the events of a member that is down.
    pub(in crate::config) member_down: MemberDown,
}

/// The keys beside `fallback:`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct FallbackKeys {
    /// After which failures the next member is tried. Absent: `[rejected, unavailable]`.
    pub(in crate::config) on: Option<Vec<FallbackReason>>,
}

/// The keys beside `multicast:`: none.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct MulticastKeys {}

/// How an anycast chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum PolicyWord {
    /// One after another.
    RoundRobin,
    /// One after another, each as often as its weight says.
    Weighted,
    /// The one with the least pending events for its weight.
    LeastPending,
    /// By the event's key, so that a key keeps its member.
    Hash,
}

/// What happens to the events of a member that is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum MemberDown {
    /// They go to another member: order starts anew, which is counted.
    #[default]
    Move,
    /// They wait for it.
    Wait,
}

/// Why a fallback moves on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum FallbackReason {
    /// The member refused the event, or its attempts are used up.
    Rejected,
    /// The member is down.
    Unavailable,
    /// The member did not answer in time: moving may duplicate.
    Timeout,
}

pub(super) const fn non_zero(value: u32) -> NonZeroU32 {
    match NonZeroU32::new(value) {
        Some(value) => value,
        None => NonZeroU32::MIN,
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            attempts: non_zero(8),
            initial: HumanDuration::from_millis(100),
            max: HumanDuration::from_secs(30),
            unavailable: Unavailable::Hold,
            budget: Budget::default(),
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            events: non_zero(10_000),
            bytes: ByteSize(32 << 20),
        }
    }
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            failures: non_zero(5),
            initial: HumanDuration::from_millis(500),
            max: HumanDuration::from_secs(30),
        }
    }
}
