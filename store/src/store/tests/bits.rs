//! A flipped bit in each field of the format, and what it costs: one record at most, and never its neighbours (C25).

use super::*;
use crate::record::{HEAD, span};
use crate::segment::{RECORDS_AT, Title};

const BYTES: usize = 40;
const COUNT: u64 = 20;
/// The record that is hit.
const HIT: u64 = 7;

/// A log of equal records, all of them durable and known to be; with or without its seal.
fn filled(sealed: bool) -> Sim {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..COUNT {
        running.append("a", token, BYTES, 7).unwrap();
        running.round(false);
    }
    running.round(true);
    if sealed {
        running.committer.close();
    }
    sim.after_kill()
}

fn first() -> PathBuf {
    Path::new("/store/logs/a").join(Title::name(1))
}

/// Tokens that are found after one bit was flipped, and how many were told to be damaged; twice, by two starts.
fn found(sim: &Sim, byte: usize, bit: u8) -> (Vec<u64>, u64) {
    let sim = sim.after_kill();
    sim.flip(&first(), byte, bit);
    let running = start(&sim).unwrap();
    let (records, damaged) = running.all("a").unwrap();
    let tokens: Vec<u64> = records.iter().map(token_of).collect();
    let copies = sim.list(Path::new("/store/quarantine")).unwrap().len() as u64;
    assert!(copies >= damaged, "each of them has its copy");
    assert_eq!(running.log("a").open(), tokens.len() as u64);
    drop(running);
    assert_eq!(
        start(&sim.after_kill()).unwrap().tokens("a"),
        tokens,
        "the next start finds the same"
    );
    (tokens, damaged)
}

fn all_but(token: Option<u64>) -> Vec<u64> {
    (0..COUNT).filter(|other| Some(*other) != token).collect()
}

#[test]
fn a_bit_of_a_record_costs_that_record() {
    let at = RECORDS_AT as usize + (HIT * span(BYTES)) as usize;
    let fields = [
        ("magic", 0..4, true),
        ("kind", 4..8, true),
        ("length", 8..12, true),
        ("payload's CRC", 12..16, true),
        ("sequence", 16..24, true),
        ("mark", 24..32, true),
        ("head's CRC", 32..36, true),
        ("filling", 36..40, false),
        ("payload", HEAD..HEAD + BYTES, true),
    ];
    for sealed in [false, true] {
        let sim = filled(sealed);
        for (name, bytes, costs) in fields.clone() {
            for byte in bytes {
                let (tokens, damaged) = found(&sim, at + byte, (byte % 8) as u8);
                assert_eq!(
                    tokens,
                    all_but(costs.then_some(HIT)),
                    "{name}, byte {byte}, sealed: {sealed}"
                );
                assert_eq!(damaged, u64::from(costs), "{name}, byte {byte}, sealed: {sealed}");
            }
        }
    }
}

#[test]
fn a_bit_of_a_segments_head_costs_nothing() {
    for sealed in [false, true] {
        let sim = filled(sealed);
        for byte in (0..56).chain(4096..4096 + 56) {
            assert_eq!(
                found(&sim, byte, (byte % 8) as u8),
                (all_but(None), 0),
                "byte {byte}"
            );
        }
    }
}

#[test]
fn a_bit_of_a_seal_costs_nothing() {
    let sim = filled(true);
    let length = sim.bytes(&first()).len();
    for byte in length - span(16) as usize..length {
        let (tokens, damaged) = found(&sim, byte, (byte % 8) as u8);
        assert_eq!((tokens, damaged), (all_but(None), 0), "byte {byte} of {length}");
    }
}

#[test]
fn a_bit_of_the_journal_repeats_a_run_and_loses_nothing() {
    let sim = filled(false);
    let mut running = start(&sim).unwrap();
    for run in [2..4, 6..9, 12..13] {
        running.log("a").acknowledge(run);
        running.round(true);
    }
    drop(running);
    let acknowledged = [2, 3, 6, 7, 8, 12];
    let newest = sim
        .list(Path::new("/store/acks"))
        .unwrap()
        .into_iter()
        .max()
        .unwrap();
    let path = Path::new("/store/acks").join(newest);
    let entries = sim.bytes(&path).iter().rposition(|byte| *byte != 0).unwrap() / 32 + 1;
    for byte in 0..entries * 32 {
        let sim = sim.after_kill();
        sim.flip(&path, byte, (byte % 8) as u8);
        let tokens = start(&sim).unwrap().tokens("a");
        let open: Vec<u64> = (0..COUNT).filter(|token| !acknowledged.contains(token)).collect();
        assert!(
            open.iter().all(|token| tokens.contains(token)),
            "byte {byte}: {tokens:?}"
        );
        assert!(
            tokens.len() <= open.len() + 3,
            "byte {byte}: one run at most is repeated: {tokens:?}"
        );
    }
}

#[test]
fn a_record_overwritten_with_zeros_is_damage_and_no_end() {
    for sealed in [false, true] {
        let sim = filled(sealed);
        let at = RECORDS_AT as usize + (HIT * span(BYTES)) as usize;
        for byte in at..at + span(BYTES) as usize {
            for bit in 0..8 {
                if sim.bytes(&first())[byte] & (1 << bit) != 0 {
                    sim.flip(&first(), byte, bit);
                }
            }
        }
        let running = start(&sim).unwrap();
        let (records, damaged) = running.all("a").unwrap();
        assert_eq!(
            records.iter().map(token_of).collect::<Vec<_>>(),
            all_but(Some(HIT))
        );
        assert_eq!(damaged, 1);
    }
}

#[test]
fn a_segment_whose_heads_are_both_damaged_is_set_aside_and_its_records_are_counted() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..30 {
        running.append("a", token, 60_000, 7).unwrap();
        running.round(false);
    }
    running.round(true);
    let ranges: Vec<_> = running
        .log("a")
        .lock()
        .segments
        .iter()
        .map(|held| held.range())
        .collect();
    assert!(ranges.len() >= 4, "{ranges:?}");
    running.committer.close();
    // The first, one in the middle, and the last, where a start appends before it is read, and where it does not.
    let last = ranges.len() - 1;
    for (index, append) in [(0, false), (2, false), (last, false), (last, true)] {
        let sim = sim.after_kill();
        let path = Path::new("/store/logs/a").join(Title::name(index as u64 + 1));
        for byte in [20, 4096 + 20] {
            sim.flip(&path, byte, 0);
        }
        let lost = ranges[index].clone();
        // A start that nobody reads at tells nothing, and forgets nothing.
        let mut running = start(&sim).unwrap();
        let mut left: Vec<u64> = (0..30).filter(|token| !lost.contains(token)).collect();
        if append {
            assert_eq!(
                running.append("a", 30, 100, 7),
                Ok(30),
                "no sequence is given twice"
            );
            running.round(true);
            left.push(30);
        }
        drop(running);
        let sim = sim.after_kill();
        let mut running = start(&sim).unwrap();
        let (records, damaged) = running.all("a").unwrap();
        assert_eq!(records.iter().map(token_of).collect::<Vec<_>>(), left);
        assert_eq!(damaged, lost.end - lost.start, "segment {index}");
        running.round(true);
        running.audit();
        assert!(running.append("a", 31, 100, 7).unwrap() >= 30);
        let (again, damaged) = start(&sim.after_kill()).unwrap().all("a").unwrap();
        assert_eq!((again.len(), damaged), (left.len(), 0), "it is told once");
        assert!(
            sim.list(Path::new("/store/logs/a"))
                .unwrap()
                .iter()
                .any(|name| name.ends_with(".unreadable"))
        );
    }
}
