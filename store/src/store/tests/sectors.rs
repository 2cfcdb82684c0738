//! Sectors that cannot be read: no damage, and nothing is passed over, but what can be read comes; and once people have put
//! zeros in their place, damage that is counted and passed over (C25, C28).

use super::*;
use crate::record::span;
use crate::segment::{RECORDS_AT, Title};

const BYTES: usize = 100;
const COUNT: u64 = 40;

/// A log of equal records, of which 10 and 11 are acknowledged, closed or killed once it had rested.
fn filled(closed: bool) -> Sim {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..COUNT {
        running.append("a", token, BYTES, 7).unwrap();
        running.round(false);
    }
    running.log("a").acknowledge(10..12);
    running.round(true);
    running.round(true);
    if closed {
        running.committer.close();
    }
    sim.after_kill()
}

fn first() -> PathBuf {
    Path::new("/store/logs/a").join(Title::name(1))
}

/// Where a record stands.
fn place(record: u64) -> usize {
    (RECORDS_AT + record * span(BYTES)) as usize
}

fn open() -> Vec<u64> {
    (0..COUNT).filter(|token| !(10..12).contains(token)).collect()
}

fn is_clean(sim: &Sim) -> bool {
    sim.list(Path::new("/store/quarantine")).unwrap().is_empty()
}

fn text(error: Option<OpenError>) -> String {
    error.expect("it cannot be read").to_string()
}

#[test]
fn a_head_that_cannot_be_read_is_read_from_the_other_place() {
    for closed in [false, true] {
        for heads in [vec![0], vec![4096], vec![0, 4096]] {
            let sim = filled(closed);
            heads.iter().for_each(|at| sim.spoil(&first(), *at));
            if heads.len() == 2 {
                // It may be well another time: it is not set aside.
                let said = text(start(&sim).err());
                assert!(
                    said.contains("0000000000000001.seg") && said.contains("at 4096"),
                    "{said}"
                );
                assert_eq!(sim.list(first().parent().unwrap()).unwrap().len(), 1);
                continue;
            }
            assert_eq!(start(&sim).unwrap().all("a").unwrap().1, 0);
            let sim = sim.after_kill();
            sim.rescue(&first());
            assert_eq!(start(&sim).unwrap().tokens("a"), open());
            assert!(is_clean(&sim));
        }
    }
}

#[test]
fn a_sector_in_the_middle_holds_what_is_in_it_and_behind_and_zeros_there_are_counted() {
    let sim = filled(true);
    let sector = place(20) / 512;
    sim.spoil(&first(), sector * 512);
    let hit: Vec<u64> = (0..COUNT)
        .filter(|record| {
            let (from, to) = (place(*record), place(record + 1));
            from < (sector + 1) * 512 && to > sector * 512
        })
        .collect();
    let running = start(&sim).unwrap();
    let mut reader = running.store.reader(&running.log("a"), true);
    let mut records = Vec::new();
    for _ in 0..3 {
        let error = reader.read(EVERYTHING, &mut records).unwrap_err().to_string();
        assert!(error.contains("0000000000000001.seg at "), "{error}");
    }
    let tokens: Vec<u64> = records.iter().map(token_of).collect();
    let before: Vec<u64> = open().into_iter().filter(|token| *token < hit[0]).collect();
    assert_eq!(tokens, before, "what can be read comes, and once");
    assert_eq!((reader.damaged(), is_clean(&sim)), (0, true));
    drop((reader, running));
    let sim = sim.after_kill();
    sim.rescue(&first());
    let running = start(&sim).unwrap();
    let (records, damaged) = running.all("a").unwrap();
    let left: Vec<u64> = open().into_iter().filter(|token| !hit.contains(token)).collect();
    assert_eq!(records.iter().map(token_of).collect::<Vec<_>>(), left);
    assert_eq!(damaged, hit.len() as u64);
}

#[test]
fn a_sector_of_the_last_segment_refuses_a_start_and_zeros_there_are_counted() {
    let sim = filled(false);
    let sector = place(20) / 512;
    sim.spoil(&first(), sector * 512);
    for _ in 0..2 {
        let said = text(start(&sim).err());
        assert!(said.contains("0000000000000001.seg at "), "{said}");
    }
    let sim = sim.after_kill();
    sim.rescue(&first());
    let running = start(&sim).unwrap();
    let (records, damaged) = running.all("a").unwrap();
    let hit = |record: &u64| place(*record) < (sector + 1) * 512 && place(record + 1) > sector * 512;
    let left: Vec<u64> = open().into_iter().filter(|token| !hit(token)).collect();
    assert_eq!(records.iter().map(token_of).collect::<Vec<_>>(), left);
    assert_eq!(damaged, (0..COUNT).filter(hit).count() as u64);
}

#[test]
fn a_seal_that_cannot_be_read_refuses_a_start_and_zeros_there_end_the_log() {
    let sim = filled(true);
    let sector = (sim.bytes(&first()).len() - 1) / 512 * 512;
    sim.spoil(&first(), sector);
    let said = text(start(&sim).err());
    assert!(said.contains("0000000000000001.seg at "), "{said}");
    let sim = sim.after_kill();
    sim.rescue(&first());
    let (records, damaged) = start(&sim).unwrap().all("a").unwrap();
    // Such an end is like one that was never written.
    let left = open().into_iter().filter(|token| place(token + 1) <= sector);
    assert_eq!(
        records.iter().map(token_of).collect::<Vec<_>>(),
        Vec::from_iter(left)
    );
    assert!(place(COUNT) - sector < 512 && damaged == 0);
}

#[test]
fn a_journal_that_cannot_be_read_refuses_a_start_and_zeros_there_repeat_what_it_said() {
    let sim = filled(true);
    let acks = Path::new("/store/acks");
    let names = sim.list(acks).unwrap();
    let journals = names.iter().map(|name| acks.join(name));
    let journals: Vec<PathBuf> = journals
        .filter(|path| sim.bytes(path).iter().any(|byte| *byte != 0))
        .collect();
    assert!(!journals.is_empty());
    for path in &journals {
        sim.spoil(path, 0);
    }
    let said = text(start(&sim).err());
    assert!(said.contains(".acks at 0: "), "{said}");
    let sim = sim.after_kill();
    for path in &journals {
        sim.rescue(path);
    }
    let running = start(&sim).unwrap();
    assert_eq!(running.tokens("a"), Vec::from_iter(0..COUNT));
    assert!(is_clean(&sim));
}

#[test]
fn a_read_that_fails_once_costs_nothing_at_any_call() {
    for closed in [false, true] {
        let filled = filled(closed);
        let mut calls = 0;
        loop {
            let sim = filled.after_kill();
            sim.arm(calls, Fault::Read);
            let running = start(&sim).unwrap();
            let (records, damaged) = running.all("a").unwrap();
            assert_eq!(
                records.iter().map(token_of).collect::<Vec<_>>(),
                open(),
                "call {calls}"
            );
            assert_eq!((damaged, is_clean(&sim)), (0, true), "call {calls}");
            if !sim.is_armed() {
                calls += 1;
                continue;
            }
            break;
        }
        assert!(calls > 20, "{calls} calls are no start");
    }
}
