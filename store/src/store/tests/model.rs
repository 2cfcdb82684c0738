//! A reader that goes on where it was, against a plain queue: whatever is appended, acknowledged, closed or killed beside it.

use super::*;

/// What one log must give.
#[derive(Default)]
struct Queue {
    /// Sequence, token, and its payload's length: durable, and not acknowledged.
    open: BTreeMap<u64, (u64, u64)>,
    /// Appended, and not told.
    pending: BTreeMap<u64, (u64, u64)>,
    acknowledged: BTreeSet<u64>,
    /// Sequences below were read.
    place: u64,
}

impl Queue {
    fn read(&mut self, most: Most) -> Vec<u64> {
        let (mut bytes, mut read) = (0, Vec::new());
        for (sequence, (token, length)) in self.open.range(self.place..) {
            if read.len() == most.records || bytes >= most.bytes || bytes > 0 && bytes + length > most.bytes {
                break;
            }
            bytes += length;
            read.push(*token);
            self.place = sequence + 1;
        }
        read
    }
}

#[test]
fn a_reader_gives_what_a_queue_would() {
    each_seed(
        |World {
             mut sim, mut random, ..
         }| {
            let mut queue = Queue::default();
            let mut tokens = 0;
            for _ in 0..4 {
                let mut running = start(&sim).unwrap();
                let log = running.log("a");
                let mut reader = running.store.reader(&log, true);
                queue.place = 0;
                for _ in 0..80 {
                    match random.u8(..12) {
                        0..4 => {
                            let payload = payload(tokens, &mut random);
                            let appended = log.append(&[&payload], (tokens, Claim::New), 7, |_| true);
                            if let Ok(sequence) = appended {
                                queue.pending.insert(sequence, (tokens, payload.len() as u64));
                                tokens += 1;
                            }
                        }
                        4..6 => {
                            running.round(random.bool());
                            queue.open.append(&mut queue.pending);
                        }
                        6..9 => {
                            let most = Most {
                                records: random.usize(1..6),
                                bytes: random.u64(1..2_000),
                            };
                            let mut records = Vec::new();
                            reader.read(most, &mut records).unwrap();
                            let read: Vec<u64> = records.iter().map(token_of).collect();
                            assert_eq!(read, queue.read(most), "{most:?}");
                        }
                        9..11 => {
                            let from =
                                random.u64(..=queue.open.last_key_value().map_or(0, |(last, _)| *last));
                            let run = from..from + random.u64(..4);
                            // What is not durable yet cannot have been delivered.
                            let run = run.start..run.end.min(log.lock().durable);
                            queue
                                .acknowledged
                                .extend(run.clone().filter(|sequence| queue.open.contains_key(sequence)));
                            queue.open.retain(|sequence, _| !run.contains(sequence));
                            log.acknowledge(run);
                        }
                        _ => {
                            reader.rewind();
                            queue.place = 0;
                        }
                    }
                    running.audit();
                    assert_eq!(log.open(), (queue.open.len() + queue.pending.len()) as u64);
                }
                let closed = random.bool();
                if closed {
                    running.round(true);
                    queue.open.append(&mut queue.pending);
                    running.committer.close();
                }
                let (empty, unwritten) = (log.is_empty(), log.unwritten());
                drop((reader, log, running));
                sim = sim.after_kill();
                let found = start(&sim).unwrap().all("a").unwrap().0;
                let found: BTreeMap<u64, u64> = found
                    .iter()
                    .map(|record| (record.sequence, token_of(record)))
                    .collect();
                // What was being written may be there, and what was acknowledged since the journal was written.
                assert!(
                    queue
                        .open
                        .iter()
                        .all(|(sequence, (token, _))| found.get(sequence) == Some(token))
                );
                for (sequence, token) in found {
                    let is_open = queue.open.contains_key(&sequence);
                    assert!(
                        is_open
                            || queue.acknowledged.contains(&sequence)
                            || queue.pending.contains_key(&sequence)
                    );
                    assert!(
                        !queue.acknowledged.contains(&sequence) || unwritten > 0,
                        "{sequence} comes again"
                    );
                    if let Some(pending) = queue.pending.remove(&sequence) {
                        queue.open.insert(sequence, pending);
                    } else if !is_open {
                        queue.open.insert(sequence, (token, 0));
                    }
                }
                queue.pending.clear();
                queue.acknowledged.clear();
                if empty && closed {
                    assert_eq!(queue.open.len(), 0);
                }
                // Lengths of what came again, which only a read tells.
                let again = start(&sim).unwrap().all("a").unwrap().0;
                for record in again {
                    queue
                        .open
                        .insert(record.sequence, (token_of(&record), record.payload.len() as u64));
                }
            }
        },
    );
}
