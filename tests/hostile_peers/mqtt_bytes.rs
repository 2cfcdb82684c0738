//! MQTT by hand: just enough to build packets, good and bad, and to read those of a client.

use std::io::{self, Read};

/// A packet: its first byte, its length, the rest.
pub(crate) fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first][..], &length(rest.len()), rest].concat()
}

/// A variable byte integer.
pub(crate) fn length(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(number % 128).unwrap();
        number /= 128;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return out;
        }
    }
}

/// A length and the bytes.
pub(crate) fn field(bytes: &[u8]) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).unwrap();
    [&size.to_be_bytes()[..], bytes].concat()
}

/// Properties with their length.
pub(crate) fn properties(inside: &[u8]) -> Vec<u8> {
    [length(inside.len()), inside.to_vec()].concat()
}

pub(crate) fn user(name: &str, value: &str) -> Vec<u8> {
    [vec![0x26], field(name.as_bytes()), field(value.as_bytes())].concat()
}

/// A publish of version 5 with QoS 1 and properties.
pub(crate) fn publish(topic: &[u8], id: u16, inside: &[u8], payload: &[u8]) -> Vec<u8> {
    let body = [
        field(topic),
        id.to_be_bytes().to_vec(),
        properties(inside),
        payload.to_vec(),
    ]
    .concat();
    packet(0x32, &body)
}

/// The properties of an event with this id.
pub(crate) fn event(id: &str) -> Vec<u8> {
    [
        user("specversion", "1.0"),
        user("id", id),
        user("source", "/fake"),
        user("type", "t"),
    ]
    .concat()
}

/// The next packet: its first byte and the rest. An error at the end of the stream.
pub(crate) fn read_packet(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    let first = byte[0];
    let (mut size, mut shift) = (0_usize, 0);
    loop {
        stream.read_exact(&mut byte)?;
        size |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
        if shift > 21 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let mut rest = vec![0; size];
    stream.read_exact(&mut rest)?;
    Ok((first, rest))
}
