//! Whether two deliveries are of one message.

use bytes::Bytes;
use weft_amqp_wire::message::Message;

use super::body;

/// Whether two payloads hold the same bare message (messaging 3.2): header and annotations are a delivery's own, and brokers
/// write them anew (a time to live that has become shorter).
pub(crate) fn same(one: &Bytes, other: &Bytes) -> bool {
    if one == other {
        return true;
    }
    let (Ok(a), Ok(b)) = (Message::decode(one), Message::decode(other)) else {
        return false;
    };
    a.properties == b.properties && application(&a) == application(&b) && data(&a, one) == data(&b, other)
}

/// The application properties as they are listed; what cannot be read ends them.
fn application<'a>(message: &Message<'a>) -> Vec<(&'a str, weft_amqp_wire::value::ValueRef<'a>)> {
    let entries = message.application_properties.into_iter().flatten();
    entries.map_while(Result::ok).collect()
}

fn data(message: &Message<'_>, payload: &Bytes) -> Option<Bytes> {
    body::data(message, payload).ok()?.bytes
}

#[cfg(test)]
mod tests {
    use weft_amqp_wire::message::{Header, MessageWriter, Properties};

    use super::*;

    fn message(ttl: Option<u32>, subject: &str, property: &str, body: &[u8]) -> Bytes {
        let mut out = Vec::new();
        let mut message = MessageWriter::new(&mut out);
        message.header(&Header {
            ttl,
            ..Header::default()
        });
        message.properties(&Properties {
            subject: Some(subject),
            ..Properties::default()
        });
        message.application_properties(|map| map.put("p", weft_amqp_wire::value::ValueRef::String(property)));
        message.data(body);
        out.into()
    }

    #[test]
    fn the_bare_message_counts_and_nothing_around_it() {
        let one = message(Some(5000), "s", "p", b"x");
        assert!(same(&one, &one.clone()));
        assert!(same(&one, &message(Some(4999), "s", "p", b"x")));
        for other in [
            message(Some(5000), "t", "p", b"x"),
            message(Some(5000), "s", "q", b"x"),
            message(Some(5000), "s", "p", b"y"),
            Bytes::from_static(b"no message"),
        ] {
            assert!(!same(&one, &other));
        }
    }
}
