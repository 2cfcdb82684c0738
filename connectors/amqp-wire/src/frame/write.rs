//! Writes frames: the body straight behind a header whose size is filled in at the end.

use super::HEADER_LEN;
use crate::performative::{Encode, Transfer};

const DOFF: u8 = 2;
const TYPE_AMQP: u8 = 0;
const TYPE_SASL: u8 = 1;

/// Appends a frame with a performative.
pub fn write(out: &mut Vec<u8>, channel: u16, performative: &impl Encode) {
    let start = begin(out, TYPE_AMQP, channel);
    performative.encode(out);
    end(out, start);
}

/// Appends a frame of the SASL layer.
pub fn write_sasl(out: &mut Vec<u8>, step: &impl Encode) {
    let start = begin(out, TYPE_SASL, 0);
    step.encode(out);
    end(out, start);
}

/// Appends an empty frame: a heartbeat.
pub fn write_empty(out: &mut Vec<u8>) {
    let start = begin(out, TYPE_AMQP, 0);
    end(out, start);
}

/// Appends one transfer frame with as much of `payload` as a frame of `frame_max` bytes holds, and tells how many
/// bytes that were. `more` is set if some are left, whatever the transfer says.
///
/// Only a transfer whose own fields do not fit (a state with a long text in a frame of the minimum size) makes a frame
/// that is too large, with none of the payload.
pub fn write_transfer(
    out: &mut Vec<u8>,
    channel: u16,
    transfer: &Transfer,
    payload: &[u8],
    frame_max: u32,
) -> usize {
    let start = begin(out, TYPE_AMQP, channel);
    transfer.encode_with(transfer.more, out);
    let room = |out: &Vec<u8>| (frame_max as usize).saturating_sub(out.len() - start);
    let mut part = payload;
    if payload.len() > room(out) && !transfer.more {
        out.truncate(start + HEADER_LEN);
        transfer.encode_with(true, out);
    }
    if let Some(fits) = payload.get(..room(out)) {
        part = fits;
    }
    out.extend_from_slice(part);
    end(out, start);
    part.len()
}

fn begin(out: &mut Vec<u8>, kind: u8, channel: u16) -> usize {
    let start = out.len();
    let [high, low] = channel.to_be_bytes();
    out.extend_from_slice(&[0, 0, 0, 0, DOFF, kind, high, low]);
    start
}

fn end(out: &mut [u8], start: usize) {
    // Frames are bounded by the peer's maximum frame size, a u32.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}
