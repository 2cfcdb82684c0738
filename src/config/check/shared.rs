//! The topics of logs that routers share: whoever else writes into one has his events delivered past every route, and
//! whoever else reads one stores them again.
//!
//! Brokers are the same where two lists have one in common. That two lists without one lead to the same brokers nobody
//! can tell from the file.

use weft_api::config::{Finding, Node, Value};
use weft_api::template::{Scope, Template};

use super::super::keys::SharedKeys;
use super::super::read::{Draft, at};
use super::names::texts;

/// Where a broker listens that is named without a port.
const PORT: &str = ":9092";
/// With this a topic of an ingress is a regular expression.
const EXPRESSION: char = '^';

/// Each shared log has a topic of its own.
pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let mut seen: Vec<Log<'_>> = Vec::new();
    for log in logs(draft) {
        read_by(draft, &log, findings);
        written_by(draft, &log, findings);
        if let (Some(first), Some(at)) = (
            seen.iter().find(|other| other.same(&log)),
            log.section.get("topic"),
        ) {
            let what = format!(
                "`{}` keeps its events in the same topic, and each would get what is owed to the other",
                first.name
            );
            let remedy =
                "give each destination a topic of its own, or a group the store in place of its members";
            findings.push(Finding::error(at, what, remedy));
        }
        seen.push(log);
    }
}

/// Templates that may lead into a log. Looked for only in a file without errors.
pub(super) fn warn(draft: &Draft, findings: &mut Vec<Finding>) {
    let logs: Vec<Log<'_>> = logs(draft).collect();
    for (section, topic) in destinations(draft).filter(|(section, _)| section.get("topics").is_none()) {
        let Some(template) = template(topic).filter(|template| template.as_constant().is_none()) else {
            continue;
        };
        for log in logs
            .iter()
            .filter(|log| log.is_at(section) && template.may_give(log.topic))
        {
            let what = format!(
                "this may give `{}`, where `{}` keeps its events: what is delivered into it comes out again, owed to `{}`",
                log.topic, log.name, log.name
            );
            findings.push(Finding::warning(
                section.get("topic").unwrap_or(section),
                what,
                "add `topics:` with those that are meant",
            ));
        }
    }
}

/// A log that routers share.
struct Log<'d> {
    /// Whose.
    name: &'d str,
    section: &'d Node,
    topic: &'d str,
}

impl Log<'_> {
    fn same(&self, other: &Log<'_>) -> bool {
        self.topic == other.topic && self.is_at(other.section)
    }

    /// Whether this section leads to the same brokers.
    fn is_at(&self, section: &Node) -> bool {
        let (these, those) = (brokers(self.section), brokers(section));
        // Without any there is a mistake already, and no telling.
        these.is_empty() || those.is_empty() || these.iter().any(|broker| those.contains(broker))
    }
}

fn logs(draft: &Draft) -> impl Iterator<Item = Log<'_>> {
    draft.destinations.iter().filter_map(|named| {
        let section = named.node.get("store")?.get(SharedKeys::KIND)?;
        let topic = text(section.get("topic")?)?;
        Some(Log {
            name: &named.name,
            section,
            topic,
        })
    })
}

fn read_by(draft: &Draft, log: &Log<'_>, findings: &mut Vec<Finding>) {
    for named in &draft.ingress {
        let Some(section) = named
            .node
            .get(SharedKeys::KIND)
            .filter(|section| log.is_at(section))
        else {
            continue;
        };
        let what = format!(
            "`{}` keeps its events there: each would be stored again, for ever",
            log.name
        );
        let before = findings.len();
        for (_, place) in texts(section, "topics")
            .into_iter()
            .filter(|(topic, _)| topic == log.topic)
        {
            findings.push(at(
                &place,
                what.clone(),
                "it is read by itself; take the topic out here",
            ));
        }
        let item = named.item.as_ref();
        if findings.len() == before && item.is_some_and(|item| item.builder.reads(log.topic)) {
            let expression = |(topic, _): &(String, _)| topic.starts_with(EXPRESSION);
            let topics = texts(section, "topics");
            let place = topics
                .into_iter()
                .find(expression)
                .map_or_else(|| named.place.clone(), |(_, place)| place);
            let what = format!("the expression takes `{}`, too: {what}", log.topic);
            findings.push(at(
                &place,
                what,
                "name the topics, or write an expression that leaves this one out",
            ));
        }
    }
}

fn written_by(draft: &Draft, log: &Log<'_>, findings: &mut Vec<Finding>) {
    let what = || {
        format!(
            "`{}` keeps its events there: what is delivered into it comes out again, owed to `{}`",
            log.name, log.name
        )
    };
    let remedy = "give the store a topic of its own";
    for (section, topic) in destinations(draft).filter(|(section, _)| log.is_at(section)) {
        let fixed = template(topic).is_some_and(|template| template.as_constant() == Some(log.topic));
        if let (true, Some(at)) = (fixed, section.get("topic")) {
            findings.push(Finding::error(at, what(), remedy));
        }
        for (_, place) in texts(section, "topics")
            .into_iter()
            .filter(|(topic, _)| topic == log.topic)
        {
            findings.push(at(&place, what(), remedy));
        }
    }
}

/// The sections of those that deliver into Kafka, and their topics.
fn destinations(draft: &Draft) -> impl Iterator<Item = (&Node, &str)> {
    draft.destinations.iter().filter_map(|named| {
        let section = named.node.get(SharedKeys::KIND)?;
        Some((section, text(section.get("topic")?)?))
    })
}

fn template(text: &str) -> Option<Template> {
    Template::parse(text, &Scope::EGRESS).ok()
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// As `host:port`, however they are written.
fn brokers(section: &Node) -> Vec<String> {
    let address = |(text, _): (String, _)| {
        let address = text.trim().to_ascii_lowercase();
        let address = address
            .rsplit_once("://")
            .map_or(&*address, |(_, address)| address);
        match address.rsplit_once(':') {
            Some(_) => address.to_owned(),
            None => format!("{address}{PORT}"),
        }
    };
    texts(section, "brokers").into_iter().map(address).collect()
}
