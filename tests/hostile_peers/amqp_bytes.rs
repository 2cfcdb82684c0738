//! AMQP 1.0 by hand: just enough to build frames, good and bad, and to tell which one came.

use std::io::{self, Read};

pub(crate) const SASL: &[u8] = b"AMQP\x03\x01\x00\x00";
pub(crate) const AMQP: &[u8] = b"AMQP\x00\x01\x00\x00";

pub(crate) const NULL: &[u8] = &[0x40];

/// A frame of a kind (0: AMQP, 1: SASL) on channel 0.
pub(crate) fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], &[2, kind, 0, 0], body].concat()
}

/// A described list: a performative, or a section of a message.
pub(crate) fn described(code: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x00, 0x53, code], list(fields)].concat()
}

pub(crate) fn list(fields: &[Vec<u8>]) -> Vec<u8> {
    compound(0xd0, u32::try_from(fields.len()).unwrap(), &fields.concat())
}

pub(crate) fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let inside: Vec<u8> = pairs
        .iter()
        .flat_map(|(key, value)| [&key[..], value].concat())
        .collect();
    compound(0xd1, u32::try_from(2 * pairs.len()).unwrap(), &inside)
}

fn compound(constructor: u8, count: u32, inside: &[u8]) -> Vec<u8> {
    let size = u32::try_from(inside.len() + 4).unwrap();
    [
        &[constructor][..],
        &size.to_be_bytes(),
        &count.to_be_bytes(),
        inside,
    ]
    .concat()
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&[0xa1, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub(crate) fn symbol(text: &str) -> Vec<u8> {
    [&[0xa3, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

pub(crate) fn binary(bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).unwrap();
    [&[0xb0][..], &size.to_be_bytes(), bytes].concat()
}

pub(crate) fn uint(number: u32) -> Vec<u8> {
    [&[0x70][..], &number.to_be_bytes()].concat()
}

pub(crate) fn null() -> Vec<u8> {
    NULL.to_vec()
}

pub(crate) fn boolean(yes: bool) -> Vec<u8> {
    vec![if yes { 0x41 } else { 0x42 }]
}

/// Lists in lists, each with its true size and count, so that only the depth is wrong.
pub(crate) fn nested_lists(levels: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 * levels + 1);
    for level in 0..levels {
        let inside = u32::try_from(9 * (levels - level - 1) + 1 + 4).unwrap();
        out.push(0xd0);
        out.extend_from_slice(&inside.to_be_bytes());
        out.extend_from_slice(&1u32.to_be_bytes());
    }
    out.extend_from_slice(NULL);
    out
}

/// Described values in described values: each is the value of the one before.
pub(crate) fn nested_values(levels: usize) -> Vec<u8> {
    [[0x00, 0x40].repeat(levels), null()].concat()
}

/// Described values in described values: each is the descriptor of the one before.
pub(crate) fn nested_descriptors(levels: usize) -> Vec<u8> {
    [vec![0x00; levels], vec![0x40; levels + 1]].concat()
}

/// A constructor with a size (and a count) of 4 GiB.
pub(crate) fn boundless(constructor: u8) -> Vec<u8> {
    [vec![constructor], vec![0xff; 8]].concat()
}

/// An array with a true size that says it has 2^32-1 elements, which need no byte each.
pub(crate) fn countless() -> Vec<u8> {
    vec![0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x43]
}

/// A transfer of (a part of) a message on handle 0.
pub(crate) fn transfer(delivery: u32, payload: &[u8], more: bool) -> Vec<u8> {
    let fields = [
        uint(0),
        uint(delivery),
        binary(&delivery.to_be_bytes()),
        uint(0),
        boolean(false),
        boolean(more),
    ];
    frame(0, &[described(0x14, &fields), payload.to_vec()].concat())
}

/// A message in transfers of at most `part` bytes each.
pub(crate) fn split(delivery: u32, payload: &[u8], part: usize) -> Vec<u8> {
    let parts: Vec<_> = payload.chunks(part).collect();
    let frames = parts
        .iter()
        .enumerate()
        .map(|(n, chunk)| transfer(delivery, chunk, n + 1 < parts.len()));
    frames.collect::<Vec<_>>().concat()
}

/// A good message: an event with this id.
pub(crate) fn event(id: &str) -> Vec<u8> {
    let property = |name: &str, value: &str| (text(&format!("cloudEvents_{name}")), text(value));
    let properties = map(&[
        property("specversion", "1.0"),
        property("id", id),
        property("source", "/fake"),
        property("type", "t"),
    ]);
    let data = [vec![0x00, 0x53, 0x75], binary(b"good")].concat();
    [vec![0x00, 0x53, 0x74], properties, data].concat()
}

/// The next frame's body; empty for a heartbeat. An error at the end of the stream.
pub(crate) fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let mut rest = vec![0; size.checked_sub(8).ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut rest)?;
    let skip = (usize::from(head[4]) * 4).saturating_sub(8);
    Ok(rest.split_off(skip))
}

/// The code of a performative of the router's, which writes small descriptors.
pub(crate) fn code(body: &[u8]) -> Option<u8> {
    match body {
        [0x00, 0x53, code, ..] => Some(*code),
        [0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => Some(*code),
        _ => None,
    }
}

/// The fields of a performative, each as its bytes, as far as they are of simple types.
pub(crate) fn fields(body: &[u8]) -> Vec<&[u8]> {
    let start = if body.get(1) == Some(&0x80) { 10 } else { 3 };
    let mut rest = match body.get(start) {
        Some(0xc0) => body.get(start + 3..),
        Some(0xd0) => body.get(start + 9..),
        _ => None,
    }
    .unwrap_or_default();
    let mut found = Vec::new();
    while let Some(size) = size_of(rest) {
        let Some((field, after)) = rest.split_at_checked(size) else {
            break;
        };
        found.push(field);
        rest = after;
    }
    found
}

/// How many bytes the value at the beginning takes.
fn size_of(bytes: &[u8]) -> Option<usize> {
    let constructor = *bytes.first()?;
    let long = || {
        let size = bytes.get(1..5)?;
        Some(5 + u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize)
    };
    match constructor {
        0x00 => {
            let descriptor = size_of(&bytes[1..])?;
            Some(1 + descriptor + size_of(bytes.get(1 + descriptor..)?)?)
        }
        0x40..=0x4f => Some(1),
        0x50..=0x5f => Some(2),
        0x60..=0x6f => Some(3),
        0x70..=0x7f => Some(5),
        0x80..=0x8f => Some(9),
        0x90..=0x9f => Some(17),
        0xa0..=0xaf | 0xc0..=0xcf | 0xe0..=0xef => Some(2 + usize::from(*bytes.get(1)?)),
        0xb0..=0xbf | 0xd0..=0xdf | 0xf0..=0xff => long(),
        _ => None,
    }
}
