//! Damage at the end of a segment, where it takes the seal with it: what was told is counted, and what is left of it stays
//! (C25).

use super::*;
use crate::record::span;
use crate::segment::{RECORDS_AT, Title};

const BYTES: usize = 300;
const PAGE: usize = 4096;

/// What becomes of a page.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Harm {
    Garbage,
    Zeros,
    Cut,
}

/// A log that was closed, and the sequences of each of its segments.
fn closed(records: u64) -> (Sim, Vec<std::ops::Range<u64>>) {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..records {
        running.append("a", token, BYTES, 7).unwrap();
        if token % 10 == 9 {
            running.round(false);
        }
    }
    running.round(true);
    running.committer.close();
    let log = running.log("a");
    let ranges = log.lock().segments.iter().map(|held| held.range()).collect();
    (sim.after_kill(), ranges)
}

fn path(number: u64) -> PathBuf {
    Path::new("/store/logs/a").join(Title::name(number))
}

fn garbage(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(1..)).take(count).collect()
}

/// Does this to the last page of a file. Returns where that begins.
fn harm(sim: &Sim, path: &Path, harm: Harm) -> usize {
    let at = sim.bytes(path).len() - PAGE;
    match harm {
        Harm::Garbage => sim.overwrite(path, at, &garbage(PAGE)),
        Harm::Zeros => sim.overwrite(path, at, &[0; PAGE]),
        Harm::Cut => sim.cut(path, at),
    }
    at
}

/// How many records end before this place.
fn before(at: usize) -> u64 {
    (at as u64 - RECORDS_AT) / span(BYTES)
}

/// What the quarantine has, by the ends of its names.
fn copies(sim: &Sim, end: &str) -> Vec<Vec<u8>> {
    let dir = Path::new("/store/quarantine");
    let names = sim.list(dir).unwrap();
    let names = names.iter().filter(|name| name.ends_with(end));
    names.map(|name| sim.bytes(&dir.join(name))).collect()
}

fn has(copies: &[Vec<u8>], bytes: &[u8]) -> bool {
    let has = |copy: &Vec<u8>| copy.windows(bytes.len()).any(|part| part == bytes);
    copies.iter().any(has)
}

#[test]
fn records_that_are_gone_with_their_seal_are_counted_where_a_segment_follows() {
    let (sim, ranges) = closed(2_000);
    assert!(ranges.len() >= 3, "{ranges:?}");
    for (index, range) in ranges[..ranges.len() - 1].iter().enumerate() {
        for how in [Harm::Garbage, Harm::Zeros, Harm::Cut] {
            let sim = sim.after_kill();
            let at = harm(&sim, &path(index as u64 + 1), how);
            let lost = range.start + before(at)..range.end;
            assert!((10..20).contains(&lost.clone().count()), "{lost:?}");
            let left: Vec<u64> = (0..2_000).filter(|token| !lost.contains(token)).collect();
            // A start that nobody reads at tells nothing, and forgets nothing.
            drop(start(&sim).unwrap());
            let sim = sim.after_kill();
            let mut running = start(&sim).unwrap();
            let (records, damaged) = running.all("a").unwrap();
            assert_eq!(records.iter().map(token_of).collect::<Vec<_>>(), left, "{how:?}");
            assert_eq!(damaged, lost.end - lost.start, "{how:?}");
            running.round(true);
            running.audit();
            assert_eq!(
                has(&[copies(&sim, ".bad").concat()], &garbage(PAGE)),
                how == Harm::Garbage
            );
            let (records, damaged) = start(&sim.after_kill()).unwrap().all("a").unwrap();
            assert_eq!(
                (records.len(), damaged),
                (left.len(), 0),
                "{how:?}: it is told once"
            );
        }
    }
}

#[test]
fn a_seal_that_is_lost_costs_nothing_where_the_segment_behind_the_next_is_gone_too() {
    let (sim, ranges) = closed(2_000);
    assert!(ranges.len() >= 3, "{ranges:?}");
    // The second was acknowledged, and went before that was durable.
    sim.remove(&path(2)).unwrap();
    let seal = sim.bytes(&path(1)).len() - span(16) as usize;
    sim.flip(&path(1), seal + 20, 3);
    let (records, damaged) = start(&sim).unwrap().all("a").unwrap();
    let left = (0..2_000).filter(|token| !ranges[1].contains(token));
    assert_eq!(
        records.iter().map(token_of).collect::<Vec<_>>(),
        Vec::from_iter(left)
    );
    assert_eq!(damaged, 0);
}

#[test]
fn a_damaged_record_in_front_of_a_damaged_seal_has_its_copy() {
    let (sim, ranges) = closed(2_000);
    let last = ranges[0].end - 1;
    let at = RECORDS_AT as usize + (last * span(BYTES)) as usize;
    // Bytes of its payload, or a whole sector of zeros in it.
    let sector = at.next_multiple_of(512);
    assert!(
        sector + 512 > at + span(BYTES) as usize,
        "the payload is in two sectors"
    );
    for (from, bytes) in [(at + 100, garbage(50)), (at + 60, vec![0; 200])] {
        let sim = sim.after_kill();
        sim.overwrite(&path(1), from, &bytes);
        let length = sim.bytes(&path(1)).len();
        sim.overwrite(&path(1), length - 40, &garbage(40));
        let harmed = sim.bytes(&path(1))[at..at + span(BYTES) as usize].to_vec();
        drop(start(&sim).unwrap());
        let sim = sim.after_kill();
        let mut running = start(&sim).unwrap();
        let (records, damaged) = running.all("a").unwrap();
        let left = (0..2_000).filter(|token| *token != last);
        assert_eq!(
            records.iter().map(token_of).collect::<Vec<_>>(),
            Vec::from_iter(left)
        );
        assert_eq!(damaged, 1);
        assert!(has(&copies(&sim, ".bad"), &harmed));
        running.round(true);
        running.audit();
    }
}

#[test]
fn damage_in_front_of_a_tail_has_its_copy_whenever_the_start_that_mends_it_ends() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..9 {
        running.append("a", token, BYTES, 7).unwrap();
        if token % 3 == 2 {
            running.round(false);
        }
    }
    drop(running);
    // All below 6 is known to be durable.
    for (token, field) in [(5, 8), (5, 100), (4, 8)] {
        let at = RECORDS_AT as usize + token * span(BYTES) as usize;
        let mut calls = 0;
        loop {
            let sim = sim.after_kill();
            sim.flip(&path(1), at + field, 2);
            let harmed = sim.bytes(&path(1))[at..at + span(BYTES) as usize].to_vec();
            sim.arm(calls, Fault::PowerCut);
            let ended = start(&sim).is_ok();
            let sim = sim.after_kill();
            let running = start(&sim).unwrap();
            let (records, damaged) = running.all("a").unwrap();
            let left = (0..9).filter(|other| *other != token as u64);
            assert_eq!(
                records.iter().map(token_of).collect::<Vec<_>>(),
                Vec::from_iter(left)
            );
            assert_eq!(damaged, 1, "{token}, killed at call {calls}");
            assert!(
                has(&copies(&sim, ".bad"), &harmed),
                "{token}, killed at call {calls}"
            );
            if ended {
                break;
            }
            calls += 1;
        }
        assert!(calls > 50, "{calls} calls are no start");
    }
}

#[test]
fn what_reached_to_the_end_of_the_last_file_stays_and_no_sequence_of_it_is_given_again() {
    let (sim, ranges) = closed(100);
    assert_eq!(ranges.len(), 1);
    let left = before(harm(&sim, &path(1), Harm::Garbage));
    let harmed = sim.bytes(&path(1));
    let mut running = start(&sim).unwrap();
    // Of the first record that is hit the head is whole. What the others were nobody can say.
    let (records, damaged) = running.all("a").unwrap();
    assert_eq!(
        records.iter().map(token_of).collect::<Vec<_>>(),
        Vec::from_iter(0..left)
    );
    assert_eq!(damaged, 1);
    let unknown = RECORDS_AT as usize + ((left + 1) * span(BYTES)) as usize;
    assert_eq!(copies(&sim, ".torn"), [&harmed[unknown..]]);
    assert!(running.append("a", 100, BYTES, 7).unwrap() >= ranges[0].end);
    running.round(true);
    assert_eq!(running.tokens("a").last(), Some(&100));
}

#[test]
fn a_tear_with_zeros_behind_it_leaves_no_copy() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..6 {
        running.append("a", token, 1_000, 7).unwrap();
        running.round(false);
    }
    drop(running);
    let sector = (RECORDS_AT + 5 * span(1_000)).next_multiple_of(512) as usize;
    sim.overwrite(&path(1), sector, &[0; 512]);
    let running = start(&sim).unwrap();
    assert_eq!(running.tokens("a"), Vec::from_iter(0..5));
    assert_eq!(copies(&sim, ""), [[0; 0]; 0]);
}
