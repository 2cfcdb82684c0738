//! How far a copy is confirmed without a gap, though confirmations come in any order. It knows neither offsets nor
//! partitions: the copy keeps those beside it.

use std::collections::VecDeque;

/// Numbers from 0 on are handed out in order and confirmed in any order.
#[derive(Debug, Default)]
pub struct Ledger {
    settled: usize,
    confirmed: VecDeque<bool>,
}

impl Ledger {
    /// Everything below this number is confirmed.
    #[must_use]
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// Confirms `number`, once.
    pub fn confirm(&mut self, number: usize) {
        let at = number - self.settled;
        if self.confirmed.len() <= at {
            self.confirmed.resize(at + 1, false);
        }
        self.confirmed[at] = true;
        while self.confirmed.front() == Some(&true) {
            self.confirmed.pop_front();
            self.settled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_back_all_that_is_behind_it() {
        let mut ledger = Ledger::default();
        ledger.confirm(1);
        ledger.confirm(3);
        assert_eq!(ledger.settled(), 0);
        ledger.confirm(0);
        assert_eq!(ledger.settled(), 2);
        ledger.confirm(2);
        assert_eq!(ledger.settled(), 4);
    }
}
