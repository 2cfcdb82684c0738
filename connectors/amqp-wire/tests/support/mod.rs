//! Arbitrary values, performatives and messages.
#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod walk;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weft_amqp_wire::message::{Header, MessageId, MessageWriter, Properties};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Array, Fields, Symbol, Text, Value, ValueRef};

pub(crate) fn text() -> BoxedStrategy<Text> {
    prop_oneof![
        4 => "\\PC{0,12}".prop_map(Text::from),
        1 => "[a-z]{250,260}".prop_map(Text::from),
    ]
    .boxed()
}

pub(crate) fn symbol() -> BoxedStrategy<Symbol> {
    prop_oneof![
        4 => "[a-z:_-]{1,12}",
        1 => "[a-z]{250,260}",
    ]
    .prop_map(|text| Symbol::new(&text).unwrap())
    .boxed()
}

pub(crate) fn binary() -> BoxedStrategy<Bytes> {
    prop_oneof![4 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 250..300)]
        .prop_map(Bytes::from)
        .boxed()
}

pub(crate) fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Ubyte),
        any::<u16>().prop_map(Value::Ushort),
        prop_oneof![Just(0), 0..300u32, any::<u32>()].prop_map(Value::Uint),
        prop_oneof![Just(0), 0..300u64, any::<u64>()].prop_map(Value::Ulong),
        any::<i8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Short),
        prop_oneof![-200..200i32, any::<i32>()].prop_map(Value::Int),
        prop_oneof![-200..200i64, any::<i64>()].prop_map(Value::Long),
        any::<f32>().prop_map(|value| Value::Float(value.to_bits())),
        any::<f64>().prop_map(|value| Value::Double(value.to_bits())),
        any::<u32>().prop_map(Value::Decimal32),
        any::<u64>().prop_map(Value::Decimal64),
        any::<[u8; 16]>().prop_map(Value::Decimal128),
        any::<char>().prop_map(Value::Char),
        any::<i64>().prop_map(Value::Timestamp),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        binary().prop_map(Value::Binary),
        text().prop_map(Value::String),
        symbol().prop_map(Value::Symbol),
    ]
    .boxed()
}

/// Arrays of one scalar type, by making several out of one value's type.
pub(crate) fn array() -> BoxedStrategy<Value> {
    let of = |one: BoxedStrategy<Value>| vec(one, 1..5);
    prop_oneof![
        of(any::<bool>().prop_map(Value::Bool).boxed()),
        of(any::<u32>().prop_map(Value::Uint).boxed()),
        of(any::<u64>().prop_map(Value::Ulong).boxed()),
        of(any::<i16>().prop_map(Value::Short).boxed()),
        of(any::<i32>().prop_map(Value::Int).boxed()),
        of(any::<i64>().prop_map(Value::Long).boxed()),
        of(any::<i64>().prop_map(Value::Timestamp).boxed()),
        of(any::<[u8; 16]>().prop_map(Value::Uuid).boxed()),
        // ASCII: the oracle (serde_amqp 0.18.0) writes the number of characters for that of bytes here.
        of("[ -~]{0,9}".prop_map(Value::from).boxed()),
        of(symbol().prop_map(Value::Symbol).boxed()),
        of(binary().prop_map(Value::Binary).boxed()),
    ]
    .prop_map(|items| Value::Array(Box::new(Array::new(items).unwrap())))
    .boxed()
}

/// Maps whose keys differ, since the oracle keeps one entry a key.
fn entries(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(value, 0..6)
        .prop_map(|values| {
            let numbered = values.into_iter().enumerate();
            Value::Map(
                numbered
                    .map(|(n, value)| (Value::from(format!("k{n}")), value))
                    .collect(),
            )
        })
        .boxed()
}

pub(crate) fn value() -> BoxedStrategy<Value> {
    prop_oneof![4 => scalar(), 1 => array()]
        .prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Value::List),
                entries(inner.clone().boxed()),
                (any::<u64>(), inner.clone())
                    .prop_map(|(code, value)| Value::described(Value::Ulong(code), value)),
                (symbol(), inner).prop_map(|(name, value)| Value::described(Value::Symbol(name), value)),
            ]
        })
        .boxed()
}

pub(crate) fn fields() -> BoxedStrategy<Fields> {
    vec(value(), 0..4)
        .prop_map(|values| {
            let numbered = values.into_iter().enumerate();
            numbered
                .map(|(n, value)| (Symbol::new(&format!("key-{n}")).unwrap(), value))
                .collect()
        })
        .boxed()
}

fn symbols() -> BoxedStrategy<Vec<Symbol>> {
    vec(symbol(), 0..4).boxed()
}

pub(crate) fn error() -> BoxedStrategy<Error> {
    (symbol(), option::of(text()), fields())
        .prop_map(|(condition, description, info)| Error {
            condition,
            description,
            info,
        })
        .boxed()
}

fn boxed_error() -> BoxedStrategy<Option<Box<Error>>> {
    option::of(error().prop_map(Box::new)).boxed()
}

pub(crate) fn outcome() -> BoxedStrategy<DeliveryState> {
    prop_oneof![
        Just(DeliveryState::Accepted),
        Just(DeliveryState::Released),
        boxed_error().prop_map(DeliveryState::Rejected),
        (any::<bool>(), any::<bool>(), fields()).prop_map(
            |(delivery_failed, undeliverable_here, message_annotations)| {
                DeliveryState::Modified(Modified {
                    delivery_failed,
                    undeliverable_here,
                    message_annotations,
                })
            }
        ),
    ]
    .boxed()
}

pub(crate) fn state() -> BoxedStrategy<DeliveryState> {
    prop_oneof![
        4 => outcome(),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(section_number, section_offset)| {
            DeliveryState::Received { section_number, section_offset }
        }),
    ]
    .boxed()
}

fn durability() -> BoxedStrategy<TerminusDurability> {
    prop_oneof![
        Just(TerminusDurability::None),
        Just(TerminusDurability::Configuration),
        Just(TerminusDurability::UnsettledState),
    ]
    .boxed()
}

fn expiry() -> BoxedStrategy<ExpiryPolicy> {
    prop_oneof![
        Just(ExpiryPolicy::LinkDetach),
        Just(ExpiryPolicy::SessionEnd),
        Just(ExpiryPolicy::ConnectionClose),
        Just(ExpiryPolicy::Never),
    ]
    .boxed()
}

prop_compose! {
    pub(crate) fn source()(
        address in option::of(text()),
        durable in durability(),
        expiry_policy in expiry(),
        timeout in any::<u32>(),
        dynamic in any::<bool>(),
        dynamic_node_properties in fields(),
        distribution_mode in option::of(prop_oneof![Just("move"), Just("copy")]),
        filter in fields(),
        default_outcome in option::of(outcome()),
        outcomes in symbols(),
        capabilities in symbols(),
    ) -> Source {
        Source {
            address, durable, expiry_policy, timeout, dynamic, dynamic_node_properties,
            distribution_mode: distribution_mode.map(Symbol::from_static),
            filter: Fields(filter.0.into_iter().map(|(key, value)| {
                (key, Value::described(Value::Symbol(Symbol::from_static("a:filter")), value))
            }).collect()),
            default_outcome, outcomes, capabilities,
        }
    }
}

prop_compose! {
    pub(crate) fn target()(
        address in option::of(text()),
        durable in durability(),
        expiry_policy in expiry(),
        timeout in any::<u32>(),
        dynamic in any::<bool>(),
        dynamic_node_properties in fields(),
        capabilities in symbols(),
    ) -> Target {
        Target { address, durable, expiry_policy, timeout, dynamic, dynamic_node_properties, capabilities }
    }
}

prop_compose! {
    fn open()(
        container_id in text(),
        hostname in option::of(text()),
        max_frame_size in any::<u32>(),
        channel_max in any::<u16>(),
        idle_time_out in option::of(any::<u32>()),
        outgoing_locales in symbols(),
        incoming_locales in symbols(),
        offered_capabilities in symbols(),
        desired_capabilities in symbols(),
        properties in fields(),
    ) -> Open {
        Open {
            container_id, hostname, max_frame_size, channel_max, idle_time_out, outgoing_locales,
            incoming_locales, offered_capabilities, desired_capabilities, properties,
        }
    }
}

prop_compose! {
    fn begin()(
        remote_channel in option::of(any::<u16>()),
        next_outgoing_id in any::<u32>(),
        incoming_window in any::<u32>(),
        outgoing_window in 0..300u32,
        handle_max in prop_oneof![Just(u32::MAX), any::<u32>()],
        offered_capabilities in symbols(),
        desired_capabilities in symbols(),
        properties in fields(),
    ) -> Begin {
        Begin {
            remote_channel, next_outgoing_id, incoming_window, outgoing_window, handle_max,
            offered_capabilities, desired_capabilities, properties,
        }
    }
}

fn role() -> BoxedStrategy<Role> {
    prop_oneof![Just(Role::Sender), Just(Role::Receiver)].boxed()
}

fn receiver_mode() -> BoxedStrategy<ReceiverSettleMode> {
    prop_oneof![Just(ReceiverSettleMode::First), Just(ReceiverSettleMode::Second)].boxed()
}

prop_compose! {
    fn attach()(
        name in text(),
        handle in any::<u32>(),
        role in role(),
        snd_settle_mode in prop_oneof![
            Just(SenderSettleMode::Unsettled), Just(SenderSettleMode::Settled), Just(SenderSettleMode::Mixed),
        ],
        rcv_settle_mode in receiver_mode(),
        source in option::of(source()),
        target in option::of(target()),
        incomplete_unsettled in any::<bool>(),
        initial_delivery_count in option::of(any::<u32>()),
        max_message_size in option::of(any::<u64>()),
        (offered_capabilities, desired_capabilities, properties) in (symbols(), symbols(), fields()),
    ) -> Attach {
        Attach {
            name, handle, role, snd_settle_mode, rcv_settle_mode, source, target, has_unsettled: false,
            incomplete_unsettled, initial_delivery_count, max_message_size, offered_capabilities,
            desired_capabilities, properties,
        }
    }
}

prop_compose! {
    fn flow()(
        next_incoming_id in option::of(any::<u32>()),
        incoming_window in any::<u32>(),
        next_outgoing_id in any::<u32>(),
        outgoing_window in any::<u32>(),
        handle in option::of(0..3u32),
        delivery_count in option::of(any::<u32>()),
        link_credit in option::of(any::<u32>()),
        available in option::of(any::<u32>()),
        drain in any::<bool>(),
        echo in any::<bool>(),
        properties in fields(),
    ) -> Flow {
        Flow {
            next_incoming_id, incoming_window, next_outgoing_id, outgoing_window, handle, delivery_count,
            link_credit, available, drain, echo, properties,
        }
    }
}

prop_compose! {
    pub(crate) fn transfer()(
        handle in any::<u32>(),
        delivery_id in option::of(any::<u32>()),
        delivery_tag in option::of(vec(any::<u8>(), 0..33).prop_map(Bytes::from)),
        message_format in option::of(0..2u32),
        settled in option::of(any::<bool>()),
        more in any::<bool>(),
        rcv_settle_mode in option::of(receiver_mode()),
        state in option::of(state()),
        resume in any::<bool>(),
        aborted in any::<bool>(),
        batchable in any::<bool>(),
    ) -> Transfer {
        Transfer {
            handle, delivery_id, delivery_tag, message_format, settled, more, rcv_settle_mode, state, resume,
            aborted, batchable,
        }
    }
}

prop_compose! {
    fn disposition()(
        role in role(),
        first in any::<u32>(),
        last in option::of(any::<u32>()),
        settled in any::<bool>(),
        state in option::of(state()),
        batchable in any::<bool>(),
    ) -> Disposition {
        Disposition { role, first, last, settled, state, batchable }
    }
}

pub(crate) fn performative() -> BoxedStrategy<Performative> {
    prop_oneof![
        open().prop_map(|open| Performative::Open(Box::new(open))),
        begin().prop_map(|begin| Performative::Begin(Box::new(begin))),
        attach().prop_map(|attach| Performative::Attach(Box::new(attach))),
        flow().prop_map(Performative::Flow),
        transfer().prop_map(Performative::Transfer),
        disposition().prop_map(Performative::Disposition),
        (any::<u32>(), any::<bool>(), boxed_error()).prop_map(|(handle, closed, error)| {
            Performative::Detach(Detach {
                handle,
                closed,
                error,
            })
        }),
        boxed_error().prop_map(|error| Performative::End(End { error })),
        boxed_error().prop_map(|error| Performative::Close(Close { error })),
    ]
    .boxed()
}

/// A message that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) header: Header,
    pub(crate) delivery_annotations: Vec<(String, Value)>,
    pub(crate) message_annotations: Vec<(String, Value)>,
    pub(crate) message_id: Option<Value>,
    pub(crate) user_id: Option<Bytes>,
    pub(crate) texts: [Option<String>; 7],
    pub(crate) correlation_id: Option<Value>,
    pub(crate) times: [Option<i64>; 2],
    pub(crate) group_sequence: Option<u32>,
    pub(crate) application_properties: Vec<(String, Value)>,
    pub(crate) body: OwnedBody,
    pub(crate) footer: Vec<(String, Value)>,
}

#[derive(Clone, Debug)]
pub(crate) enum OwnedBody {
    Data(Vec<Bytes>),
    Sequences(Vec<Vec<Value>>),
    Value(Value),
}

pub(crate) fn message_id(value: &Value) -> MessageId<'_> {
    match value {
        Value::Ulong(number) => MessageId::Ulong(*number),
        Value::Uuid(uuid) => MessageId::Uuid(*uuid),
        Value::Binary(bytes) => MessageId::Binary(bytes),
        other => MessageId::String(other.as_str().unwrap()),
    }
}

impl Owned {
    pub(crate) fn properties(&self) -> Properties<'_> {
        let [
            to,
            subject,
            reply_to,
            content_type,
            content_encoding,
            group_id,
            reply_group,
        ] = &self.texts;
        Properties {
            message_id: self.message_id.as_ref().map(message_id),
            user_id: self.user_id.as_deref(),
            to: to.as_deref(),
            subject: subject.as_deref(),
            reply_to: reply_to.as_deref(),
            correlation_id: self.correlation_id.as_ref().map(message_id),
            content_type: content_type.as_deref(),
            content_encoding: content_encoding.as_deref(),
            absolute_expiry_time: self.times[0],
            creation_time: self.times[1],
            group_id: group_id.as_deref(),
            group_sequence: self.group_sequence,
            reply_to_group_id: reply_group.as_deref(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        let mut message = MessageWriter::new(&mut out);
        let put = |map: &mut weft_amqp_wire::message::MapWriter<'_>, entries: &[(String, Value)]| {
            for (key, value) in entries {
                match value.scalar() {
                    Some(scalar) => map.put(key, scalar),
                    None => {
                        let mut encoded = Vec::new();
                        weft_amqp_wire::value::write::Put::put(value, &mut encoded);
                        let encoded = Bytes::from(encoded);
                        let mut reader = weft_amqp_wire::value::Reader::new(&encoded);
                        map.put(key, ValueRef::Compound(reader.raw().unwrap()));
                    }
                }
            }
        };
        message.header(&self.header);
        message.delivery_annotations(|map| put(map, &self.delivery_annotations));
        message.message_annotations(|map| put(map, &self.message_annotations));
        message.properties(&self.properties());
        message.application_properties(|map| put(map, &self.application_properties));
        match &self.body {
            OwnedBody::Data(pieces) => pieces.iter().for_each(|data| message.data(data)),
            OwnedBody::Sequences(lists) => {
                for list in lists {
                    message.sequence(Value::List(list.clone()));
                }
            }
            OwnedBody::Value(value) => message.value(value),
        }
        message.footer(|map| put(map, &self.footer));
        Bytes::from(out)
    }
}

fn id() -> BoxedStrategy<Option<Value>> {
    option::of(prop_oneof![
        any::<u64>().prop_map(Value::Ulong),
        any::<[u8; 16]>().prop_map(Value::Uuid),
        binary().prop_map(Value::Binary),
        text().prop_map(Value::String),
    ])
    .boxed()
}

fn map(value: BoxedStrategy<Value>) -> BoxedStrategy<Vec<(String, Value)>> {
    vec(value, 0..9)
        .prop_map(|values| {
            let numbered = values.into_iter().enumerate();
            numbered.map(|(n, value)| (format!("x-opt-{n}"), value)).collect()
        })
        .boxed()
}

prop_compose! {
    fn header()(
        // What is not durable the oracle leaves out.
        durable in option::of(Just(true)),
        priority in any::<u8>(),
        ttl in option::of(any::<u32>()),
        first_acquirer in any::<bool>(),
        delivery_count in 0..3u32,
    ) -> Header {
        Header { durable, priority, ttl, first_acquirer, delivery_count }
    }
}

prop_compose! {
    pub(crate) fn message()(
        header in prop_oneof![Just(Header::default()), header()],
        delivery_annotations in map(value()),
        message_annotations in map(value()),
        message_id in id(),
        user_id in option::of(binary()),
        plain in [option::of("\\PC{0,9}"), option::of("\\PC{0,9}"), option::of("\\PC{0,9}")],
        symbols in [option::of("[a-z/]{1,9}"), option::of("[a-z/]{1,9}")],
        groups in [option::of("\\PC{0,9}"), option::of("\\PC{0,9}")],
        (correlation_id, times, group_sequence) in (id(), [option::of(any::<i64>()), option::of(any::<i64>())],
            option::of(any::<u32>())),
        application_properties in map(scalar()),
        body in prop_oneof![
            vec(binary(), 1..4).prop_map(OwnedBody::Data),
            vec(vec(value(), 0..4), 1..3).prop_map(OwnedBody::Sequences),
            value().prop_map(OwnedBody::Value),
        ],
        footer in map(value()),
    ) -> Owned {
        let [to, subject, reply_to] = plain;
        let [content_type, content_encoding] = symbols;
        let [group_id, reply_group] = groups;
        Owned {
            header, delivery_annotations, message_annotations, message_id, user_id,
            texts: [to, subject, reply_to, content_type, content_encoding, group_id, reply_group],
            correlation_id, times, group_sequence, application_properties, body, footer,
        }
    }
}
