//! Hostile bytes leave the memory of the process flat (C33). Alone in its binary: it looks at the whole process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use weft_amqp_wire::message::Message;
use weft_amqp_wire::performative::Performative;
use weft_amqp_wire::value::{Reader, Value};

/// The most memory that this process has had resident, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn lengths_and_counts_that_lie_cost_no_memory() {
    let len = 64 * 1024;
    let size = |n: usize| u32::try_from(n).unwrap().to_be_bytes();
    let mut hostile: Vec<Vec<u8>> = Vec::new();
    // Lists in lists, each of which announces as many elements as it has bytes.
    let mut open = Vec::new();
    while open.len() < 31 * 9 {
        let left = len - open.len() - 9;
        open.push(0xd0);
        open.extend(size(left + 4));
        open.extend(size(left));
    }
    open.resize(len, 0xff);
    hostile.push(open);
    // The same with maps, and with arrays of strings.
    let mut open = vec![0xd1];
    open.extend(size(len - 5));
    open.extend(size(len - 10));
    open.resize(len, 0xff);
    hostile.push(open);
    let mut open = vec![0xf0];
    open.extend(size(len - 5));
    open.extend(size(len - 10));
    open.push(0xb1);
    open.resize(len, 0xff);
    hostile.push(open);
    for code in [0xb0, 0xb1, 0xd0, 0xd1, 0xf0] {
        hostile.push(vec![code, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x40]);
    }
    let before = peak_kib();
    for _ in 0..200 {
        for bytes in &hostile {
            let bytes = Bytes::from(bytes.clone());
            assert!(Value::decode(&bytes).is_err());
            assert!(Reader::new(&bytes).check().is_err());
            assert!(Performative::decode(&bytes).is_err());
            assert!(Message::decode(&bytes).is_err());
        }
    }
    let grown = peak_kib() - before;
    assert!(grown < 2 * 1024, "the process grew by {grown} KiB");
}
