#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use weft_api::connector::RawMessage;
use weft_api::event::Attributes;

use crate::app::spec;
use crate::config::{self, Environment, Source};
use crate::connectors;
use crate::delivery::shared::{ATTRIBUTES_MAX, NAME};
use crate::routing::plan::KeyRule;
use crate::topology::spec::{DestinationSpec, SharedSpec, Spec};

struct Nothing;

impl Environment for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there is none".to_owned())
    }
}

/// Destination `a` and a group, each with a log in Kafka.
fn of(age: &str, node: &str) -> Spec {
    let text = format!(
        r#"
node: {{ name: {node} }}
connections: {{ main: {{ kafka: {{ brokers: ["k:9092"] }} }} }}
ingress: {{ web: {{ http: {{ listen: "127.0.0.1:18080" }} }} }}
destinations:
  a: {{ http: {{ url: "http://a/" }}, order_by: subject, store: {{ kafka: {{ connection: main, topic: a }} {age} }} }}
  b: {{ http: {{ url: "http://b/" }}, order_by: subject }}
  c: {{ http: {{ url: "http://c/" }} }}
  same: {{ anycast: [a, b], store: {{ kafka: {{ connection: main, topic: same }} }} }}
  mixed: {{ fallback: [same, c], store: {{ kafka: {{ connection: main, topic: mixed }} }} }}
routes: {{ all: {{ to: mixed }} }}
"#
    );
    let source = Source {
        name: "a.yaml".into(),
        text,
    };
    let model = config::from_sources(&[source], connectors::ALL, &Nothing);
    spec::of(&model.unwrap_or_else(|found| panic!("{found:?}")))
}

#[test]
fn each_log_is_an_endpoint_that_writes_and_an_ingress_that_reads() {
    let spec = of(", max_age: 1h", "n");
    let readers: Vec<_> = spec
        .ingresses
        .iter()
        .filter_map(|ingress| Some((&*ingress.name, ingress.log.clone()?)))
        .collect();
    let of_a = SharedSpec {
        of: "a".into(),
        max_age: Some(std::time::Duration::from_secs(3600)),
        place: "topic a of k:9092 as group weft-store-a".into(),
    };
    assert_eq!(readers[0], ("a.log", of_a));
    assert_eq!([readers[1].0, readers[2].0], ["same.log", "mixed.log"]);
    for destination in &spec.destinations {
        let (name, shared) = match destination {
            DestinationSpec::Endpoint(endpoint) => (&endpoint.name, &endpoint.shared),
            DestinationSpec::Group { name, shared, .. } => (name, shared),
        };
        let expected = ["a", "same", "mixed"]
            .contains(&&**name)
            .then(|| format!("{name}.log"));
        assert_eq!(shared.as_deref(), expected.as_deref(), "{name}");
    }
}

/// C20: the log is ordered by what orders the destination, or all members of the group.
#[test]
fn a_log_has_the_order_of_what_is_behind_it() {
    let spec = of("", "n");
    let orders: Vec<_> = spec
        .endpoints()
        .filter_map(|endpoint| {
            Some((
                endpoint.settings.shared_log.clone()?,
                endpoint.settings.order_by.clone(),
            ))
        })
        .collect();
    let by_subject = KeyRule::Attribute("subject".into());
    assert_eq!(
        orders,
        [
            ("a".into(), by_subject.clone()),
            ("same".into(), by_subject),
            ("mixed".into(), KeyRule::Key)
        ]
    );
}

/// C30: another age makes no other client, another node does.
#[test]
fn an_age_is_no_reason_for_another_client() {
    let prints = |spec: Spec| {
        let ingresses = spec.ingresses.iter().map(|ingress| ingress.fingerprint.clone());
        let endpoints = spec.endpoints().map(|endpoint| endpoint.fingerprint.clone());
        ingresses.chain(endpoints).collect::<Vec<_>>()
    };
    let now = prints(of("", "n"));
    assert_eq!(now, prints(of(", max_age: 1h", "n")));
    assert!(
        now.iter()
            .zip(prints(of("", "m")))
            .all(|(now, then)| *now != then)
    );
}

/// What the writer lets through the reader takes, or the partition would stand still: as many headers, and any size. The
/// reader's `limits.event` may be less than that of the router that wrote it.
#[test]
fn what_can_be_written_into_a_log_can_be_read_back() {
    let spec = of("", "n");
    let reader = spec
        .ingresses
        .iter()
        .find(|ingress| &*ingress.name == "a.log")
        .unwrap();
    let core = ["specversion", "id", "source", "type", NAME];
    let more = (core.len() - 1)..ATTRIBUTES_MAX;
    let headers = core.into_iter().map(|name| {
        (
            format!("ce_{name}"),
            if name == "specversion" { "1.0" } else { "x" }.to_owned(),
        )
    });
    let raw = RawMessage {
        headers: headers
            .chain(more.map(|number| (format!("ce_a{number}"), "x".to_owned())))
            .collect(),
        body: Bytes::from(vec![0; 4 << 20]),
        ..RawMessage::default()
    };
    let read = reader.builder.map(&raw).unwrap();
    assert!(
        !read[0].malformed,
        "{:?}",
        read[0].event.get("weftreason").map(|why| why.text.to_owned())
    );
    assert_eq!(read[0].event.attributes().count(), ATTRIBUTES_MAX);
}
