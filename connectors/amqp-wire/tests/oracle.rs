//! The codec beside fe2o3's types: what either writes the other reads, for every performative and message (C33 aside,
//! whose bounds it lacks).
#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use fe2o3_amqp_types::messaging::message::__private::{Deserializable, Serializable};
use fe2o3_amqp_types::{messaging as theirs, performatives as their, sasl as their_sasl};
use proptest::prelude::*;
use serde_amqp::{from_slice, to_vec};
use support::{Owned, OwnedBody};
use weft_amqp_wire::message::{Body, Message};
use weft_amqp_wire::performative::{Encode, Performative};
use weft_amqp_wire::sasl;
use weft_amqp_wire::value::write::Put;
use weft_amqp_wire::value::{Symbol, Text, Value};

/// Theirs reads what we wrote, and writes it again.
fn through<T: serde::de::DeserializeOwned + serde::Serialize>(ours: &[u8]) -> Bytes {
    let read: T = from_slice(ours).unwrap_or_else(|e| panic!("theirs cannot read ours: {e}: {ours:02x?}"));
    to_vec(&read).unwrap().into()
}

fn of_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_equal_after_a_journey_through_the_oracle(value in support::value()) {
        let ours = of_value(&value);
        let back = through::<serde_amqp::Value>(&ours);
        prop_assert_eq!(Value::decode(&back).unwrap(), value);
    }

    #[test]
    fn a_performative_is_equal_after_a_journey_through_the_oracle(performative in support::performative()) {
        let mut ours = Vec::new();
        performative.encode(&mut ours);
        let back = through::<their::Performative>(&ours);
        let (read, payload) = Performative::decode(&back).unwrap();
        prop_assert_eq!(read, performative);
        prop_assert!(payload.is_empty());
    }

    #[test]
    fn a_message_is_equal_after_a_journey_through_the_oracle(owned in support::message()) {
        let ours = owned.encode();
        let read: Deserializable<theirs::Message<theirs::Body<serde_amqp::Value>>> = from_slice(&ours)
            .unwrap_or_else(|e| panic!("theirs cannot read ours: {e}: {ours:02x?}"));
        let back = Bytes::from(to_vec(&Serializable(&read.0)).unwrap());
        same(&owned, &ours);
        same(&owned, &back);
    }
}

fn pairs<'a>(
    entries: impl Iterator<
        Item = Result<(&'a str, weft_amqp_wire::value::ValueRef<'a>), weft_amqp_wire::DecodeError>,
    >,
) -> Vec<(String, Value)> {
    let owned = |(key, value): (&str, weft_amqp_wire::value::ValueRef<'_>)| {
        (key.to_owned(), value.to_value().unwrap())
    };
    entries.map(|entry| owned(entry.unwrap())).collect()
}

/// The message reads as what was written.
fn same(owned: &Owned, payload: &Bytes) {
    let read = Message::decode(payload).unwrap();
    assert_eq!(read.header, owned.header);
    assert_eq!(read.properties, owned.properties());
    assert_eq!(
        pairs(read.delivery_annotations.into_iter().flatten()),
        owned.delivery_annotations
    );
    assert_eq!(
        pairs(read.message_annotations.into_iter().flatten()),
        owned.message_annotations
    );
    assert_eq!(
        pairs(read.application_properties.into_iter().flatten()),
        owned.application_properties
    );
    assert_eq!(pairs(read.footer.into_iter().flatten()), owned.footer);
    match (read.body, &owned.body) {
        (Body::Data(data), OwnedBody::Data(pieces)) => {
            let whole: Vec<u8> = pieces.iter().flatten().copied().collect();
            assert_eq!(data.to_bytes(), whole);
            assert_eq!(data.len(), whole.len());
        }
        (Body::Sequences(sequences), OwnedBody::Sequences(lists)) => {
            let read: Vec<Value> = sequences.map(|list| list.value().unwrap()).collect();
            let written: Vec<Value> = lists.iter().cloned().map(Value::List).collect();
            assert_eq!(read, written);
        }
        (Body::Value(raw), OwnedBody::Value(value)) => assert_eq!(raw.value().unwrap(), *value),
        (read, written) => panic!("{read:?} is no {written:?}"),
    }
}

fn sasl_journey<T: serde::de::DeserializeOwned + serde::Serialize>(step: &sasl::Sasl) -> T {
    let mut ours = Vec::new();
    step.encode(&mut ours);
    let back = through::<T>(&ours);
    assert_eq!(sasl::Sasl::decode(&back).unwrap(), *step);
    from_slice(&ours).unwrap()
}

#[test]
fn the_oracle_reads_every_sasl_step_and_is_read() {
    let mechanisms = sasl::Mechanisms {
        sasl_server_mechanisms: ["PLAIN", "SCRAM-SHA-256", "ANONYMOUS"]
            .map(Symbol::from_static)
            .to_vec(),
    };
    let theirs: their_sasl::SaslMechanisms = sasl_journey(&sasl::Sasl::Mechanisms(mechanisms));
    assert_eq!(theirs.sasl_server_mechanisms.0.len(), 3);
    let init = sasl::Init {
        mechanism: Symbol::from_static("PLAIN"),
        initial_response: Some(Bytes::from_static(b"\0user\0secret")),
        hostname: Some(Text::from("broker")),
    };
    let theirs: their_sasl::SaslInit = sasl_journey(&sasl::Sasl::Init(init));
    assert_eq!(theirs.hostname.as_deref(), Some("broker"));
    let challenge = Bytes::from_static(b"r=abc");
    let theirs: their_sasl::SaslChallenge =
        sasl_journey(&sasl::Sasl::Challenge(sasl::Challenge { challenge }));
    assert_eq!(theirs.challenge.as_slice(), b"r=abc");
    let response = Bytes::from_static(b"p=def");
    let theirs: their_sasl::SaslResponse = sasl_journey(&sasl::Sasl::Response(sasl::Response { response }));
    assert_eq!(theirs.response.as_slice(), b"p=def");
    for code in [
        sasl::Code::Ok,
        sasl::Code::Auth,
        sasl::Code::Sys,
        sasl::Code::SysPerm,
        sasl::Code::SysTemp,
    ] {
        let outcome = sasl::Outcome {
            code,
            additional_data: Some(Bytes::from_static(b"v=x")),
        };
        let theirs: their_sasl::SaslOutcome = sasl_journey(&sasl::Sasl::Outcome(outcome));
        assert_eq!(format!("{:?}", theirs.code), format!("{code:?}"));
    }
}

/// A journey would not notice two fields of one type that are swapped: these are looked at by name.
#[test]
fn fields_of_the_same_type_stand_in_their_own_places() {
    use weft_amqp_wire::performative as ours;
    fn read<T: serde::de::DeserializeOwned>(performative: &impl Encode) -> T {
        let mut out = Vec::new();
        performative.encode(&mut out);
        from_slice(&out).unwrap()
    }
    let symbols = |name: &'static str| vec![Symbol::from_static(name)];

    let open: their::Open = read(&ours::Open {
        container_id: "me".into(),
        outgoing_locales: symbols("out"),
        incoming_locales: symbols("in"),
        offered_capabilities: symbols("offered"),
        desired_capabilities: symbols("desired"),
        ..ours::Open::default()
    });
    let text = format!("{open:?}");
    for (field, name) in [
        ("outgoing_locales", "out"),
        ("incoming_locales", "in"),
        ("offered_capabilities", "offered"),
        ("desired_capabilities", "desired"),
    ] {
        let field = text.split(field).nth(1).unwrap();
        assert!(
            field.starts_with(&format!(": Some(Array([Symbol(\"{name}\")")),
            "{text}"
        );
    }

    let begin: their::Begin = read(&ours::Begin {
        next_outgoing_id: 1,
        incoming_window: 2,
        outgoing_window: 3,
        handle_max: 4,
        ..ours::Begin::default()
    });
    assert_eq!(
        (
            begin.next_outgoing_id,
            begin.incoming_window,
            begin.outgoing_window
        ),
        (1, 2, 3)
    );
    assert_eq!(begin.handle_max.0, 4);

    let flow: their::Flow = read(&ours::Flow {
        next_incoming_id: Some(1),
        incoming_window: 2,
        next_outgoing_id: 3,
        outgoing_window: 4,
        handle: Some(5),
        delivery_count: Some(6),
        link_credit: Some(7),
        available: Some(8),
        drain: true,
        ..ours::Flow::default()
    });
    assert_eq!((flow.next_incoming_id, flow.incoming_window), (Some(1), 2));
    assert_eq!((flow.next_outgoing_id, flow.outgoing_window), (3, 4));
    assert_eq!(
        (flow.delivery_count, flow.link_credit, flow.available),
        (Some(6), Some(7), Some(8))
    );
    assert!(flow.drain && !flow.echo);

    let transfer: their::Transfer = read(&ours::Transfer {
        handle: 1,
        delivery_id: Some(2),
        message_format: Some(0),
        settled: Some(false),
        more: true,
        aborted: true,
        ..ours::Transfer::default()
    });
    assert_eq!(
        (transfer.handle.0, transfer.delivery_id, transfer.message_format),
        (1, Some(2), Some(0))
    );
    assert!(transfer.more && transfer.aborted && !transfer.resume && !transfer.batchable);

    let disposition: their::Disposition = read(&ours::Disposition {
        role: ours::Role::Receiver,
        first: 3,
        last: Some(4),
        settled: true,
        state: Some(ours::DeliveryState::Accepted),
        batchable: false,
    });
    assert_eq!((disposition.first, disposition.last), (3, Some(4)));
    assert!(disposition.settled && !disposition.batchable);
    assert_eq!(disposition.role, fe2o3_amqp_types::definitions::Role::Receiver);

    let attach: their::Attach = read(&ours::Attach {
        rcv_settle_mode: ours::ReceiverSettleMode::Second,
        snd_settle_mode: ours::SenderSettleMode::Settled,
        source: Some(ours::Source {
            outcomes: symbols("outcome"),
            capabilities: symbols("queue"),
            dynamic_node_properties: weft_amqp_wire::value::Fields::default().with("a", 1u8),
            ..ours::Source::default()
        }),
        offered_capabilities: symbols("offered"),
        ..ours::Attach::new("link", 7, ours::Role::Sender)
    });
    let source = attach.source.unwrap();
    assert!(source.filter.is_none() && source.dynamic_node_properties.is_some());
    assert_eq!(source.capabilities.unwrap().0[0].as_str(), "queue");
    assert_eq!(source.outcomes.unwrap().0[0].as_str(), "outcome");
    assert!(attach.offered_capabilities.is_some() && attach.desired_capabilities.is_none());
    assert_eq!(attach.role, fe2o3_amqp_types::definitions::Role::Sender);

    let modified: theirs::DeliveryState = {
        let mut out = Vec::new();
        let state = ours::DeliveryState::Modified(ours::Modified {
            delivery_failed: true,
            ..ours::Modified::default()
        });
        state.put(&mut out);
        from_slice(&out).unwrap()
    };
    let theirs::DeliveryState::Modified(modified) = modified else {
        panic!("{modified:?}")
    };
    assert_eq!(modified.delivery_failed, Some(true));
    assert_ne!(modified.undeliverable_here, Some(true));
}

#[test]
fn message_properties_stand_in_their_own_places() {
    use weft_amqp_wire::message::{Header, MessageId, MessageWriter, Properties};
    let mut out = Vec::new();
    let mut message = MessageWriter::new(&mut out);
    message.header(&Header {
        first_acquirer: true,
        ..Header::default()
    });
    message.properties(&Properties {
        message_id: Some(MessageId::String("id")),
        user_id: Some(b"user"),
        to: Some("to"),
        subject: Some("subject"),
        reply_to: Some("reply-to"),
        correlation_id: Some(MessageId::Ulong(7)),
        content_type: Some("text/plain"),
        content_encoding: Some("gzip"),
        absolute_expiry_time: Some(1),
        creation_time: Some(2),
        group_id: Some("group"),
        group_sequence: Some(3),
        reply_to_group_id: Some("reply-group"),
    });
    message.data(b"x");
    let read: Deserializable<theirs::Message<theirs::Body<serde_amqp::Value>>> = from_slice(&out).unwrap();
    let header = read.0.header.unwrap();
    assert!(header.first_acquirer && !header.durable);
    let properties = read.0.properties.unwrap();
    assert_eq!(properties.to.as_deref(), Some("to"));
    assert_eq!(properties.subject.as_deref(), Some("subject"));
    assert_eq!(properties.reply_to.as_deref(), Some("reply-to"));
    assert_eq!(properties.content_type.unwrap().as_str(), "text/plain");
    assert_eq!(properties.content_encoding.unwrap().as_str(), "gzip");
    assert_eq!(
        properties.absolute_expiry_time.map(|time| time.milliseconds()),
        Some(1)
    );
    assert_eq!(properties.creation_time.map(|time| time.milliseconds()), Some(2));
    assert_eq!(properties.group_id.as_deref(), Some("group"));
    assert_eq!(properties.group_sequence, Some(3));
    assert_eq!(properties.reply_to_group_id.as_deref(), Some("reply-group"));
}
