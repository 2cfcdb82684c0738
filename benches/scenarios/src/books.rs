//! The books of an open-loop run, outside the router: what was offered, how each sender was answered, and what came out at
//! the far end, for every event by its number and in seconds for each flow. Senders and sinks of the run write into it
//! from their threads; it knows no protocol.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a sender was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is promised: it must arrive.
    Accepted,
    /// Certainly not taken: it must not arrive.
    Refused,
    /// It may arrive.
    Unknown,
}

/// The books of one run.
pub struct Books {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    changed: usize,
    unsent: usize,
    flows: Vec<Vec<Second>>,
}

struct Entry {
    flow: u8,
    answer: Option<Answer>,
    arrivals: u8,
    sent_us: u64,
}

/// What happened in one second of a flow. Latencies in microseconds, in the second in which they ended.
#[derive(Debug, Default, Clone)]
pub struct Second {
    /// Events that were sent.
    pub offered: usize,
    /// Answers that promise.
    pub accepted: usize,
    /// Answers that refuse.
    pub refused: usize,
    /// Answers that say neither, and connections that ended without one.
    pub unknown: usize,
    /// Events that arrived for the first time.
    pub arrived: usize,
    /// From sending to a promise.
    pub accept_us: Vec<u32>,
    /// From sending to a refusal.
    pub refuse_us: Vec<u32>,
    /// From sending to the first arrival.
    pub transit_us: Vec<u32>,
}

/// The whole run, each event counted once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Events that were sent.
    pub offered: usize,
    /// Those that were promised.
    pub accepted: usize,
    /// Those that were refused.
    pub refused: usize,
    /// Those without a clear answer.
    pub unknown: usize,
    /// Different events that arrived.
    pub arrived: usize,
    /// Promised, and not there: lost.
    pub lost: usize,
    /// Refused, and there all the same.
    pub refused_arrived: usize,
    /// Arrivals beyond the first of each event.
    pub duplicates: usize,
    /// Arrivals that are no event of ours as it was sent.
    pub changed: usize,
    /// Events that were due and could not be sent: the sender had no connection left.
    pub unsent: usize,
}

impl Books {
    /// Empty books for so many flows; their clock begins now.
    #[must_use]
    pub fn new(flows: usize) -> Self {
        let state = State {
            flows: vec![Vec::new(); flows],
            ..State::default()
        };
        Self {
            began: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// The time since they began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// An event is sent now; its number.
    pub fn offer(&self, flow: usize) -> usize {
        let now = self.now();
        let mut state = self.lock();
        state.second(flow, now).offered += 1;
        state.entries.push(Entry {
            flow: u8::try_from(flow).unwrap_or(u8::MAX),
            answer: None,
            arrivals: 0,
            sent_us: micros(now),
        });
        state.entries.len() - 1
    }

    /// Events were due that nothing could be sent with.
    pub fn unsent(&self, events: usize) {
        self.lock().unsent += events;
    }

    /// A sender has its answer.
    pub fn answered(&self, number: usize, answer: Answer) {
        let now = self.now();
        let mut state = self.lock();
        let Some(entry) = state.entries.get_mut(number) else {
            return;
        };
        entry.answer = Some(answer);
        let (flow, took) = (usize::from(entry.flow), since(now, entry.sent_us));
        let second = state.second(flow, now);
        match answer {
            Answer::Accepted => {
                second.accepted += 1;
                second.accept_us.push(took);
            }
            Answer::Refused => {
                second.refused += 1;
                second.refuse_us.push(took);
            }
            Answer::Unknown => second.unknown += 1,
        }
    }

    /// An event has come out of the router at the end of a flow.
    pub fn arrived(&self, flow: usize, number: usize) {
        let now = self.now();
        let mut state = self.lock();
        let Some(entry) = state
            .entries
            .get_mut(number)
            .filter(|e| usize::from(e.flow) == flow)
        else {
            state.changed += 1;
            return;
        };
        entry.arrivals = entry.arrivals.saturating_add(1);
        if entry.arrivals > 1 {
            return;
        }
        let took = since(now, entry.sent_us);
        let second = state.second(flow, now);
        second.arrived += 1;
        second.transit_us.push(took);
    }

    /// Something came out that is no event of ours as it was sent.
    pub fn changed(&self) {
        self.lock().changed += 1;
    }

    /// Each event once.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let state = self.lock();
        let mut totals = Totals {
            offered: state.entries.len(),
            changed: state.changed,
            unsent: state.unsent,
            ..Totals::default()
        };
        for entry in &state.entries {
            let there = entry.arrivals > 0;
            totals.arrived += usize::from(there);
            totals.duplicates += usize::from(entry.arrivals.saturating_sub(1));
            match entry.answer {
                Some(Answer::Accepted) => {
                    totals.accepted += 1;
                    totals.lost += usize::from(!there);
                }
                Some(Answer::Refused) => {
                    totals.refused += 1;
                    totals.refused_arrived += usize::from(there);
                }
                Some(Answer::Unknown) => totals.unknown += 1,
                None => {}
            }
        }
        totals
    }

    /// Events without an answer yet, and promised events that are not there yet.
    #[must_use]
    pub fn open(&self) -> (usize, usize) {
        let state = self.lock();
        let sum = |f: &dyn Fn(&Second) -> usize| state.flows.iter().flatten().map(f).sum::<usize>();
        let answered = sum(&|s| s.accepted + s.refused + s.unknown);
        let missing = sum(&|s| s.accepted).saturating_sub(sum(&|s| s.arrived));
        (sum(&|s| s.offered).saturating_sub(answered), missing)
    }

    /// The seconds of a flow within a range, as far as they have something; what had nothing counts as empty.
    #[must_use]
    pub fn seconds(&self, flow: usize, range: Range<usize>) -> Vec<Second> {
        let state = self.lock();
        let all = &state.flows[flow];
        range.map(|at| all.get(at).cloned().unwrap_or_default()).collect()
    }

    /// One second that is the sum of a range.
    #[must_use]
    pub fn sum(&self, flow: usize, range: Range<usize>) -> Second {
        let mut sum = Second::default();
        for second in self.seconds(flow, range) {
            sum.offered += second.offered;
            sum.accepted += second.accepted;
            sum.refused += second.refused;
            sum.unknown += second.unknown;
            sum.arrived += second.arrived;
            sum.accept_us.extend(second.accept_us);
            sum.refuse_us.extend(second.refuse_us);
            sum.transit_us.extend(second.transit_us);
        }
        sum
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn second(&mut self, flow: usize, now: Duration) -> &mut Second {
        let at = usize::try_from(now.as_secs()).unwrap_or(usize::MAX);
        let seconds = &mut self.flows[flow];
        if seconds.len() <= at {
            seconds.resize_with(at + 1, Second::default);
        }
        &mut seconds[at]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn since(now: Duration, sent_us: u64) -> u32 {
    u32::try_from(micros(now).saturating_sub(sent_us)).unwrap_or(u32::MAX)
}

/// Milliseconds below which `per_mille` of a thousand lie; `None` where there are none.
#[must_use]
pub fn quantile_ms(micros: &[u32], per_mille: usize) -> Option<f64> {
    let mut sorted = micros.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    Some(f64::from(sorted[last * per_mille / 1000]) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_promised_and_is_not_there_is_lost_and_a_second_copy_does_not_stand_in_for_it() {
        let books = Books::new(2);
        for number in 0..5 {
            assert_eq!(books.offer(number % 2), number);
        }
        for number in 0..3 {
            books.answered(number, Answer::Accepted);
        }
        books.answered(3, Answer::Refused);
        for number in [0, 2, 2] {
            books.arrived(0, number);
        }
        books.arrived(1, 3);
        books.arrived(0, 1);
        books.arrived(0, 99);
        let totals = books.totals();
        assert_eq!((totals.offered, totals.accepted, totals.arrived), (5, 3, 3));
        assert_eq!(
            (totals.lost, totals.duplicates, totals.refused_arrived),
            (1, 1, 1)
        );
        assert_eq!(
            totals.changed, 2,
            "another flow's event, and one that nobody sent"
        );
        assert_eq!(books.open(), (1, 0));
        assert_eq!(books.sum(0, 0..9).arrived, 2);
        assert_eq!(books.sum(1, 0..9).refuse_us.len(), 1);
    }

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let micros: Vec<u32> = (1..=1000).rev().map(|ms| ms * 1000).collect();
        assert_eq!(quantile_ms(&micros, 500), Some(500.0));
        assert_eq!(quantile_ms(&micros, 990), Some(990.0));
        assert_eq!(quantile_ms(&micros, 1000), Some(1000.0));
        assert_eq!(quantile_ms(&[], 500), None);
    }
}
