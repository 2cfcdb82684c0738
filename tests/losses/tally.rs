//! What came, held against what was sent: the events of a flood are named `flood-N`.

use std::time::Instant;

use serde_json::Value;
use weft_rig::{Kafka, PythonProcess, Weft, eventually};

use crate::stage::Stage;
use crate::support::LIMIT;

/// The account of one run.
pub(crate) struct Tally {
    events: usize,
    /// The numbers of those that never came.
    pub(crate) lost: Vec<usize>,
    /// How many came more than once, each time counted.
    pub(crate) again: usize,
    began: Instant,
}

/// Reads until the line that has a field, and returns it.
#[track_caller]
pub(crate) fn until(process: &mut PythonProcess, field: &str) -> Value {
    loop {
        let line = process.next_line(LIMIT);
        if line.get(field).is_some() {
            return line;
        }
    }
}

impl Tally {
    /// Waits until a topic has as many records as events were sent and the router has nothing under way, and counts them.
    #[track_caller]
    pub(crate) fn of_kafka(kafka: &Kafka, topic: &str, events: usize, weft: &Weft) -> Tally {
        let began = Instant::now();
        let mut last = 0;
        let mut quiet_since = Instant::now();
        // Whatever is lost never comes: the end is that nothing moves any more.
        eventually("the end of the flow", LIMIT * 2, || {
            let count = kafka
                .offsets(topic)
                .iter()
                .map(|(low, high)| high - low)
                .sum::<i64>();
            let pending = weft.metrics().sum("weft_obligations_pending", &[]);
            if count != last || pending > 0.5 {
                (last, quiet_since) = (count, Instant::now());
            }
            (quiet_since.elapsed() > LIMIT / 20).then_some(())
        });
        let mut times = vec![0_usize; events];
        for record in kafka.drain(topic) {
            let number = record
                .text_header("ce_id")
                .and_then(|id| id.strip_prefix("flood-"));
            // A probe is none of them.
            if let Some(number) = number {
                times[number.parse::<usize>().unwrap()] += 1;
            }
        }
        Tally {
            events,
            lost: (0..events).filter(|number| times[*number] == 0).collect(),
            again: times.iter().map(|count| count.saturating_sub(1)).sum(),
            began,
        }
    }

    /// Waits until a drain has every event and the router has `settled` everything.
    #[track_caller]
    pub(crate) fn of_drain(
        mut drain: PythonProcess,
        events: usize,
        mut settled: impl FnMut() -> bool,
    ) -> Tally {
        let began = Instant::now();
        eventually("everything settled", LIMIT * 2, || settled().then_some(()));
        // What is settled is at the broker, so the drain gets it, or never will.
        let mut distinct = 0;
        while distinct < events {
            distinct = until(&mut drain, "distinct")["distinct"].as_u64().unwrap() as usize;
        }
        drain.stop();
        let end = until(&mut drain, "done");
        eprintln!("drain: {end}");
        assert_eq!(end["foreign"], 0, "{end}");
        Tally {
            events,
            lost: Vec::new(),
            again: end["duplicates"].as_u64().unwrap() as usize,
            began,
        }
    }

    /// None lost; and for each kill no more came again than `window` (C4).
    #[track_caller]
    pub(crate) fn judge(&self, what: &str, stage: &Stage, window: usize) {
        eprintln!(
            "{what}: {} events, kills {:?}, {} lost, {} came again, {:?} after the last kill",
            self.events,
            stage.kills,
            self.lost.len(),
            self.again,
            self.began.elapsed()
        );
        assert_eq!(
            self.lost.len(),
            0,
            "the first: {:?}",
            &self.lost[..self.lost.len().min(10)]
        );
        assert!(
            self.again <= stage.kills.len() * window,
            "{} came again after {} kills",
            self.again,
            stage.kills.len()
        );
    }
}
