//! Whether the topic of a log that routers share keeps what is in it until somebody has read it.
//!
//! Asked for once, at the start: whoever may not ask is told nothing, and the file's author has been told what to see to.
//! Does not know: events.

use std::collections::HashMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

/// How long the brokers may take to answer.
const ASK: Duration = Duration::from_secs(5);

/// How a topic loses what nobody has read; each with a line for an operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// All but the last event of a key go.
    Compacted(String),
    /// What is older or more than this goes.
    Retained(String),
}

/// What the brokers say (blocking; must not run in an async thread). `None`: it loses nothing, or they do not say.
pub(super) fn loses(runtime: &tokio::runtime::Handle, client: &ClientConfig, topic: &str) -> Option<Loss> {
    let admin: AdminClient<DefaultClientContext> = client.create().ok()?;
    let options = AdminOptions::new().request_timeout(Some(ASK));
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer = runtime.block_on(admin.describe_configs(&asked, &options)).ok()?;
    let resource = answer.into_iter().next()?.ok()?;
    let values = resource.entries.into_iter();
    let values: HashMap<_, _> = values
        .filter_map(|entry| Some((entry.name, entry.value?)))
        .collect();
    loss(topic, |key| values.get(key).map(String::as_str))
}

fn loss<'v>(topic: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<Loss> {
    let policy = value("cleanup.policy").unwrap_or_default();
    if policy.split(',').any(|word| word.trim() == "compact") {
        return Some(Loss::Compacted(format!(
            "kafka topic `{topic}` is compacted, and a store in it loses all but the last event of a key: \
             set its cleanup.policy to delete"
        )));
    }
    let bound = |key: &str| value(key).filter(|text| text.parse::<i64>().is_ok_and(|bound| bound >= 0));
    let bounds: Vec<String> = ["retention.ms", "retention.bytes"]
        .into_iter()
        .filter_map(|key| Some(format!("{key}={}", bound(key)?)))
        .collect();
    (!bounds.is_empty()).then(|| {
        Loss::Retained(format!(
            "kafka topic `{topic}` keeps the events of a store only so long ({}): what is not delivered by then is lost; \
             set it to more than the longest outage, or to -1",
            bounds.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{Loss, loss};

    fn of(values: &[(&str, &'static str)]) -> Option<Loss> {
        loss("t", |key| {
            values
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        })
    }

    #[test]
    fn a_topic_that_loses_what_nobody_read_is_told_from_one_that_does_not() {
        let keeps = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
        ];
        assert_eq!(of(&keeps), None);
        assert_eq!(of(&[]), None, "nobody said so");
        for policy in ["compact", "compact,delete", "delete, compact"] {
            let lost = of(&[("cleanup.policy", policy), ("retention.ms", "-1")]);
            assert!(matches!(lost, Some(Loss::Compacted(_))), "{policy}");
        }
        let Some(Loss::Retained(said)) = of(&[("retention.ms", "604800000"), ("retention.bytes", "-1")])
        else {
            panic!("a week is no outage's bound");
        };
        assert!(said.contains("(retention.ms=604800000)"), "{said}");
    }
}
