//! How an event gets before an ingress of a file: to the address on which it listens, or to where it takes from.

use std::sync::Arc;

use weft_api::config::{Finding, Key, Node, Value};
use weft_api::connector::{EgressBuilder, EgressSettings};

use super::super::CliError;
use crate::config::{Ingress, Model};
use crate::connectors;

/// Bytes for the client's buffers: for a single event.
const CLIENT_MEMORY: u64 = 16 << 20;

/// The key of the ingress' section that says where it takes from, and what the same connector's egress calls that.
const PLACES: &[(&str, &str, &str)] = &[
    ("kafka", "topics", "topic"),
    ("mqtt", "subscribe", "topic"),
    ("amqp", "address", "address"),
];

/// Keys that both sections may have beside those of the connection.
const SHARED: [&str; 2] = ["tls", "auth"];

/// A way to an ingress.
pub(super) enum Way {
    /// It listens: post there.
    Url(String),
    /// It takes from a broker: deliver to that.
    Egress(Box<dyn EgressBuilder>),
}

/// The way to the ingress `name`; `address` picks one where the ingress takes from several.
pub(super) fn to(model: &Model, name: &str, address: Option<&str>) -> Result<Way, CliError> {
    let wrong = |why: String| CliError::Config(format!("--ingress {name}: {why}"));
    let Some(ingress) = model.ingress(name) else {
        let names: Vec<&str> = model.ingress.iter().map(|ingress| &*ingress.name).collect();
        return Err(wrong(format!(
            "there is none of this name; there are: {}",
            names.join(", ")
        )));
    };
    if ingress.kind == "http" {
        return Ok(Way::Url(reachable(&ingress.builder.address())));
    }
    let section = egress_section(ingress, address).map_err(&wrong)?;
    let settings = EgressSettings {
        name: Arc::clone(&ingress.name),
        node: model.node.name.as_str().into(),
        cluster: model.node.cluster.as_str().into(),
        event_max: model.limits.event.get(),
        client_memory: CLIENT_MEMORY,
        lossy: false,
        log: false,
    };
    let connector = connectors::ALL
        .iter()
        .find(|connector| connector.kind() == ingress.kind);
    let built = connector.and_then(|connector| connector.egress(&section, &settings));
    let built = built.ok_or_else(|| wrong(format!("nothing can be sent by {}", ingress.kind)))?;
    built.map(Way::Egress).map_err(|findings| wrong(lines(&findings)))
}

fn lines(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

/// An address on which a server listens everywhere is reached over loopback.
fn reachable(listens: &str) -> String {
    listens
        .replacen("//0.0.0.0:", "//127.0.0.1:", 1)
        .replacen("//[::]:", "//[::1]:", 1)
}

/// The egress section that delivers to where the ingress takes from.
fn egress_section(ingress: &Ingress, address: Option<&str>) -> Result<Node, String> {
    let kind = ingress.kind;
    let Some((_, from, to)) = PLACES.iter().find(|(known, _, _)| *known == kind) else {
        return Err(format!("an ingress of the kind {kind} cannot be sent to"));
    };
    let section = ingress.effective.get(kind).ok_or("its section is empty")?;
    let place = match address {
        Some(address) => address.to_owned(),
        None => only(section.get(from)).ok_or(format!(
            "it takes from several places; name one with --address ({from})"
        ))?,
    };
    let keep = connectors::ALL.iter().find(|connector| connector.kind() == kind);
    let keep: Vec<&str> = keep
        .map_or(&[][..], |c| c.connection_keys())
        .iter()
        .copied()
        .chain(SHARED)
        .collect();
    let Value::Map(entries) = &section.value else {
        return Err("its section is no mapping".to_owned());
    };
    let mut kept: Vec<(Key, Node)> = entries
        .iter()
        .filter(|(key, _)| keep.contains(&key.name.as_str()))
        .cloned()
        .collect();
    let target = Node {
        value: Value::Text(place),
        ..section.clone()
    };
    kept.push((
        Key {
            name: (*to).to_owned(),
            span: section.span.clone(),
        },
        target,
    ));
    Ok(Node {
        value: Value::Map(kept),
        ..section.clone()
    })
}

/// The only text in a list, or the text itself; not one with a wildcard or a pattern.
fn only(node: Option<&Node>) -> Option<String> {
    let text = match &node?.value {
        Value::Text(text) => text,
        Value::List(items) => match items.as_slice() {
            [
                Node {
                    value: Value::Text(text),
                    ..
                },
            ] => text,
            _ => return None,
        },
        _ => return None,
    };
    (!text.starts_with('^') && !text.contains(['+', '#', '*'])).then(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_api::config::Span;

    fn node(value: Value) -> Node {
        let span = Span {
            file: "x.yaml".into(),
            line: 1,
            column: 1,
        };
        Node {
            value,
            span,
            path: "ingress.orders.kafka".into(),
            secret: false,
        }
    }

    fn texts(texts: &[&str]) -> Node {
        node(Value::List(
            texts
                .iter()
                .map(|text| node(Value::Text((*text).to_owned())))
                .collect(),
        ))
    }

    #[test]
    fn only_a_single_plain_place_is_taken_without_asking() {
        assert_eq!(only(Some(&texts(&["orders"]))).as_deref(), Some("orders"));
        assert_eq!(
            only(Some(&node(Value::Text("jobs".to_owned())))).as_deref(),
            Some("jobs")
        );
        for several in [&["a", "b"][..], &["^orders\\..*"], &["plant/+/t"], &[]] {
            assert_eq!(only(Some(&texts(several))), None, "{several:?}");
        }
        assert_eq!(only(None), None);
    }

    #[test]
    fn a_server_that_listens_everywhere_is_reached_over_loopback() {
        assert_eq!(
            reachable("http://0.0.0.0:8080/events"),
            "http://127.0.0.1:8080/events"
        );
        assert_eq!(reachable("http://[::]:8080/events"), "http://[::1]:8080/events");
        assert_eq!(reachable("http://10.0.0.1:8080/"), "http://10.0.0.1:8080/");
    }
}
