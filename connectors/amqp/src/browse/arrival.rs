//! When a message came to its queue, if the broker wrote it down.
//!
//! The message's own creation time does not tell: a destination writes the event's time there.

use bytes::Bytes;
use weft_amqp_wire::message::Message;
use weft_amqp_wire::value::ValueRef;

/// Annotations in which brokers write it: Artemis (`enable-ingress-timestamp`), Azure, RabbitMQ (an interceptor).
const ANNOTATIONS: [&str; 3] = [
    "x-opt-ingress-time",
    "x-opt-enqueued-time",
    "x-opt-rabbitmq-received-time",
];

/// In milliseconds since 1970.
pub(super) fn of(payload: &Bytes) -> Option<u64> {
    let annotations = Message::decode(payload).ok()?.message_annotations?;
    let millis = ANNOTATIONS.iter().find_map(|name| {
        Some(match annotations.find(name).ok()?? {
            ValueRef::Timestamp(millis) | ValueRef::Long(millis) => millis,
            _ => return None,
        })
    })?;
    u64::try_from(millis).ok()
}

#[cfg(test)]
mod tests {
    use weft_amqp_wire::message::{MessageWriter, Properties};

    use super::*;

    fn message(name: &str, value: ValueRef<'_>) -> Bytes {
        let mut out = Vec::new();
        let mut message = MessageWriter::new(&mut out);
        message.message_annotations(|map| map.put(name, value));
        message.properties(&Properties {
            creation_time: Some(7),
            ..Properties::default()
        });
        message.data(b"x");
        out.into()
    }

    #[test]
    fn only_the_broker_knows_when_it_came() {
        for name in ANNOTATIONS {
            assert_eq!(
                of(&message(name, ValueRef::Timestamp(1_790_000_000_123))),
                Some(1_790_000_000_123)
            );
        }
        assert_eq!(of(&message("x-opt-ingress-time", ValueRef::Long(5))), Some(5));
        assert_eq!(of(&message("x-opt-ingress-time", ValueRef::Long(-5))), None);
        assert_eq!(of(&message("x-opt-ingress-time", ValueRef::String("now"))), None);
        assert_eq!(of(&message("other", ValueRef::Long(5))), None);
        assert_eq!(of(&Bytes::from_static(b"?")), None);
    }
}
