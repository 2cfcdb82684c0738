//! A stream of frames, as a peer sends it after (or before) the protocol header.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use weft_amqp_wire::frame::{self, FrameKind, ProtocolHeader};
use weft_amqp_wire::performative::{Encode, Performative};
use weft_amqp_wire::sasl::Sasl;
use weft_amqp_wire::value::Value;
use weft_amqp_wire::value::write::Put;

const FRAME_MAX: u32 = 65_536;

fn body(kind: FrameKind, body: &Bytes) {
    let mut again = Vec::new();
    match kind {
        FrameKind::Amqp => {
            if let Ok((read, _)) = Performative::decode(body) {
                read.encode(&mut again);
                let (twice, _) = Performative::decode(&again.into()).expect("what we write we read");
                // The map of the unsettled is passed over, and not written.
                if !matches!(&read, Performative::Attach(attach) if attach.has_unsettled) {
                    assert_eq!(twice, read);
                }
            }
        }
        FrameKind::Sasl => {
            if let Ok(read) = Sasl::decode(body) {
                read.encode(&mut again);
                assert_eq!(Sasl::decode(&again.into()), Ok(read));
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = Bytes::copy_from_slice(data);
    if let Ok(value) = Value::decode(&whole) {
        let mut again = Vec::new();
        value.put(&mut again);
        assert_eq!(Value::decode(&again.into()), Ok(value));
    }
    body(FrameKind::Amqp, &whole);
    body(FrameKind::Sasl, &whole);
    let mut stream = BytesMut::from(data);
    _ = ProtocolHeader::split(&mut stream);
    while let Ok(Some(frame)) = frame::split(&mut stream, FRAME_MAX) {
        body(frame.kind, &frame.body);
    }
});
