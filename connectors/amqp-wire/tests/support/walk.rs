//! Walks everything that can be read out of bytes, to the end, whatever they are.

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::message::{Body, Message};
use weft_amqp_wire::performative::Performative;
use weft_amqp_wire::sasl::Sasl;
use weft_amqp_wire::value::{Reader, Value, ValueRef};
use weft_amqp_wire::{DecodeError, frame};

fn entry(value: Result<ValueRef<'_>, DecodeError>) -> Result<(), DecodeError> {
    if let ValueRef::Compound(raw) = value? {
        let checked = raw.check();
        raw.value()?;
        checked?;
    }
    Ok(())
}

/// All of a message, as a reader that wants everything takes it.
pub(crate) fn message(payload: &Bytes) -> Result<(), DecodeError> {
    let message = Message::decode(payload)?;
    let annotations = [
        message.delivery_annotations,
        message.message_annotations,
        message.footer,
    ];
    for found in annotations.into_iter().flatten().flatten() {
        entry(found.map(|(_, value)| value))?;
    }
    for found in message.application_properties.into_iter().flatten() {
        entry(found.map(|(_, value)| value))?;
    }
    match message.body {
        Body::Empty => {}
        Body::Data(data) => assert_eq!(data.to_bytes().len(), data.len()),
        Body::Sequences(mut lists) => lists.try_for_each(|list| list.value().map(drop))?,
        Body::Value(raw) => {
            raw.view()?;
            raw.value()?;
        }
    }
    Ok(())
}

/// Everything, one after the other; whether any of it was well-formed.
pub(crate) fn everything(bytes: &Bytes) -> bool {
    let mut reader = Reader::new(bytes);
    let skipped = reader.skip().is_ok();
    let checked = Reader::new(bytes).check();
    let built = Reader::new(bytes).value();
    if checked.is_err() {
        assert!(built.is_err(), "built what the check refuses: {bytes:02x?}");
    }
    if checked.is_ok() {
        assert!(skipped, "the skip refuses what the check passes: {bytes:02x?}");
    }
    let mut buffer = BytesMut::from(&bytes[..]);
    let mut framed = false;
    while let Ok(Some(frame)) = frame::split(&mut buffer, 65_536) {
        framed = true;
        _ = Performative::decode(&frame.body);
    }
    _ = frame::ProtocolHeader::split(&mut BytesMut::from(&bytes[..]));
    let decoded = [
        Value::decode(bytes).is_ok(),
        Performative::decode(bytes).is_ok(),
        Sasl::decode(bytes).is_ok(),
        message(bytes).is_ok(),
    ];
    framed || decoded.contains(&true)
}
