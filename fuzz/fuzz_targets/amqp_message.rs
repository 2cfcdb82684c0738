//! The payload of a delivery, read to its end.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weft_amqp_wire::message::{Body, Message};
use weft_amqp_wire::value::ValueRef;

fn value(value: ValueRef<'_>) {
    if let ValueRef::Compound(raw) = value {
        _ = raw.check();
        _ = raw.value();
    }
}

fuzz_target!(|data: &[u8]| {
    let payload = Bytes::copy_from_slice(data);
    let Ok(message) = Message::decode(&payload) else {
        return;
    };
    let annotations = [
        message.delivery_annotations,
        message.message_annotations,
        message.footer,
    ];
    for (_, found) in annotations.into_iter().flatten().flatten().flatten() {
        value(found);
    }
    for (_, found) in message.application_properties.into_iter().flatten().flatten() {
        value(found);
    }
    match message.body {
        Body::Empty => {}
        Body::Data(data) => assert_eq!(data.to_bytes().len(), data.len()),
        Body::Sequences(lists) => lists.for_each(|list| _ = list.value()),
        Body::Value(raw) => {
            raw.check().expect("a body has been checked");
            _ = raw.value();
        }
    }
});
