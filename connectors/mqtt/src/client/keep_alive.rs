//! When to say that we live, and when to believe that the broker does not.
//!
//! Invariants: pure; the broker hears from us at least every keep alive; silence of a keep alive and a half after the broker was
//! asked is its end, unless we chose not to listen.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    interval: Duration,
    sent: Instant,
    heard: Instant,
    /// When the broker was asked, and has not answered.
    asked: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// Nothing before that time.
    Later(Instant),
    /// A PINGREQ.
    Ping,
    /// The broker has not answered for so long.
    Dead(Duration),
}

impl KeepAlive {
    /// Starts; the first packet has just been sent and answered.
    pub(crate) fn new(interval: Duration, now: Instant) -> KeepAlive {
        KeepAlive {
            interval,
            sent: now,
            heard: now,
            asked: None,
        }
    }

    /// Bytes were written.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Bytes were read, or would have been if we had listened.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// What is due now. A PINGREQ counts as asked for once it is returned.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        if let Some(asked) = self.asked {
            let dead = asked + self.interval.max(Duration::from_secs(1));
            if now >= dead {
                return Due::Dead(now - self.heard);
            }
            return Due::Later(dead);
        }
        // A quarter early, so that the packet is there in time; and whoever only writes wants to know, too, whether
        // somebody reads.
        let ping = self.sent.min(self.heard) + self.interval.mul_f32(0.75);
        if now < ping {
            return Due::Later(ping);
        }
        self.asked = Some(now);
        self.sent = now;
        Due::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_connection_is_pinged_and_then_given_up() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(8 * SECOND, start);
        assert_eq!(clock.due(start + SECOND), Due::Later(start + 6 * SECOND));
        assert_eq!(clock.due(start + 6 * SECOND), Due::Ping);
        assert_eq!(clock.due(start + 7 * SECOND), Due::Later(start + 14 * SECOND));
        assert_eq!(clock.due(start + 14 * SECOND), Due::Dead(14 * SECOND));
    }

    #[test]
    fn an_answer_starts_the_clock_anew() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(8 * SECOND, start);
        assert_eq!(clock.due(start + 6 * SECOND), Due::Ping);
        clock.heard(start + 7 * SECOND);
        assert_eq!(clock.due(start + 8 * SECOND), Due::Later(start + 12 * SECOND));
    }

    #[test]
    fn whoever_only_writes_asks_as_well() {
        let start = Instant::now();
        let mut clock = KeepAlive::new(8 * SECOND, start);
        clock.sent(start + 6 * SECOND);
        assert_eq!(clock.due(start + 6 * SECOND), Due::Ping);
    }
}
