//! Writes the data types of MQTT. Lengths are checked where the texts come from (`config`, `mapping`); what would not fit is cut
//! to what two bytes of length can say, never written with a length that lies.

/// The longest string or binary value.
const FIELD_MAX: usize = 65_535;

/// PINGREQ.
pub(crate) const PING: [u8; 2] = [0xc0, 0];

/// Bytes that a Variable Byte Integer takes.
pub(crate) fn variable_len(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Variable Byte Integer; `value` is below 2^28.
pub(crate) fn variable(out: &mut Vec<u8>, value: usize) {
    let mut left = value;
    loop {
        // The mask makes the conversion exact.
        let byte = (left & 0x7f) as u8;
        left >>= 7;
        if left == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

pub(crate) fn two(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn four(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(..FIELD_MAX).unwrap_or(bytes);
    // Cut just above.
    two(out, u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(bytes);
}

pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    if text.len() <= FIELD_MAX {
        return binary(out, text.as_bytes());
    }
    let end = (0..=FIELD_MAX).rev().find(|end| text.is_char_boundary(*end));
    binary(out, text.get(..end.unwrap_or(0)).unwrap_or_default().as_bytes());
}

/// Bytes that a string or binary value takes.
pub(crate) fn field_len(bytes: usize) -> usize {
    2 + bytes
}

/// A packet whose body is small enough to be built aside.
pub(super) fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    variable(out, body.len());
    out.extend_from_slice(body);
}
