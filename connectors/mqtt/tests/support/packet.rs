//! MQTT by hand, as little of it as the tests need.

use weft_api::event::{AttrKind, Event, EventBuilder, json};

/// A whole packet.
#[derive(Clone, Debug)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    pub fn bytes(&self) -> Vec<u8> {
        packet(self.first, &self.body)
    }

    /// Packet Identifier of anything but a PUBLISH.
    pub fn id(&self) -> u16 {
        two(&self.body)
    }
}

/// Takes the first packet off, if it is whole.
pub fn split(buffer: &mut Vec<u8>) -> Option<Packet> {
    let mut length = 0;
    let mut at = 1;
    loop {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if buffer.len() < at + length {
        return None;
    }
    let rest = buffer.split_off(at + length);
    let whole = std::mem::replace(buffer, rest);
    Some(Packet {
        first: whole[0],
        body: whole[at..].to_vec(),
    })
}

pub fn variable(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let more = value > 0x7f;
        out.push((value & 0x7f) as u8 | u8::from(more) << 7);
        value >>= 7;
        if !more {
            return out;
        }
    }
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], &variable(body.len())[..], body].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub fn two(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Empty properties, where the version has any.
pub fn none(five: bool) -> Vec<u8> {
    if five { vec![0] } else { vec![] }
}

/// CONNECT; a session that does not begin clean lasts.
pub fn connect(five: bool, client_id: &str, clean: bool) -> Vec<u8> {
    let properties = match (five, clean) {
        (true, false) => vec![5, 0x11, 0, 0, 0xff, 0xff],
        _ => none(five),
    };
    let version = if five { 5 } else { 4 };
    let body = [
        text("MQTT"),
        vec![version, u8::from(clean) << 1, 0, 60],
        properties,
        text(client_id),
    ];
    packet(0x10, &body.concat())
}

pub fn subscribe(five: bool, filter: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[vec![0, 1], none(five), text(filter), vec![qos]].concat())
}

/// PUBLISH with properties that are already bytes.
pub fn publish(first: u8, topic: &str, id: u16, properties: Option<&[u8]>, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if first & 6 != 0 {
        body.extend(id.to_be_bytes());
    }
    if let Some(properties) = properties {
        body.extend(variable(properties.len()));
        body.extend(properties);
    }
    body.extend(payload);
    packet(first, &body)
}

/// An event in binary mode, or structured with 3.1.1.
pub fn event_publish(five: bool, qos: u8, topic: &str, id: u16, event: &Event) -> Vec<u8> {
    let first = 0x30 | qos << 1;
    if !five {
        let mut payload = Vec::new();
        json::encode(event, &mut payload);
        return publish(first, topic, id, None, &payload);
    }
    let mut properties = Vec::new();
    for (name, value) in
        std::iter::once(("specversion", "1.0")).chain(event.attributes().map(|(n, v)| (n, v.text)))
    {
        if name == "datacontenttype" {
            properties.push(3);
        } else {
            properties.push(0x26);
            properties.extend(text(name));
        }
        properties.extend(text(value));
    }
    publish(
        first,
        topic,
        id,
        Some(&properties),
        event.data().map_or(&[], |data| data),
    )
}

/// A PUBLISH, taken apart.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u16,
    pub qos: u8,
    pub topic: String,
    pub properties: Vec<u8>,
    pub payload: Vec<u8>,
}

pub fn message(five: bool, packet: &Packet) -> Message {
    let qos = packet.first >> 1 & 3;
    let body = &packet.body;
    let mut at = 2 + usize::from(two(body));
    let topic = String::from_utf8(body[2..at].to_vec()).unwrap();
    let id = if qos > 0 { two(&body[at..]) } else { 0 };
    at += if qos > 0 { 2 } else { 0 };
    let mut length = 0;
    if five {
        let mut shift = 0;
        loop {
            let byte = body[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    Message {
        id,
        qos,
        topic,
        properties: body[at..at + length].to_vec(),
        payload: body[at + length..].to_vec(),
    }
}

/// The event of a message.
pub fn event(five: bool, message: &Message) -> Event {
    if !five {
        return json::decode(&message.payload.clone().into()).unwrap();
    }
    let mut builder = EventBuilder::new();
    let mut rest = &message.properties[..];
    let take = |rest: &mut &[u8]| {
        let (length, tail) = rest.split_at(2);
        let (taken, tail) = tail.split_at(two(length).into());
        *rest = tail;
        String::from_utf8(taken.to_vec()).unwrap()
    };
    while let Some((id, tail)) = rest.split_first() {
        rest = tail;
        match id {
            3 => _ = builder.datacontenttype(&take(&mut rest)),
            0x26 => {
                let (name, value) = (take(&mut rest), take(&mut rest));
                if name != "specversion" {
                    builder.set(&name, AttrKind::String, &value);
                }
            }
            other => panic!("property {other}"),
        }
    }
    if !message.payload.is_empty() {
        builder.data(message.payload.clone().into());
    }
    builder.build().unwrap()
}
