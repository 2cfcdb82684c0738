//! Silence: ours, which heartbeats break, and the peer's, which ends the connection (transport 2.4.5).

use std::time::{Duration, Instant};

/// The shortest wait between heartbeats, whatever the peer asks for.
const BEAT_MIN: Duration = Duration::from_millis(50);

pub(super) struct Idle {
    limit: Option<Duration>,
    beat: Option<Duration>,
    received: Instant,
    sent: Instant,
}

impl Idle {
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Idle {
        Idle {
            limit,
            beat: None,
            received: now,
            sent: now,
        }
    }

    /// What we ask of the peer, in milliseconds: half of what we bear, since it may be late.
    pub(super) fn asked(&self) -> Option<u32> {
        let half = self.limit? / 2;
        Some(u32::try_from(half.as_millis()).unwrap_or(u32::MAX).max(1))
    }

    /// What the peer asks of us.
    pub(super) fn peer(&mut self, ms: Option<u32>) {
        let half = |ms: u32| (Duration::from_millis(ms.into()) / 2).max(BEAT_MIN);
        self.beat = ms.filter(|ms| *ms > 0).map(half);
    }

    pub(super) fn received(&mut self, now: Instant) {
        self.received = now;
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// The peer was silent for too long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.limit
            .is_some_and(|limit| now.saturating_duration_since(self.received) >= limit)
    }

    /// We were.
    pub(super) fn owes_beat(&self, now: Instant) -> bool {
        self.beat
            .is_some_and(|beat| now.saturating_duration_since(self.sent) >= beat)
    }

    /// When to look again. Without `may_beat` our own silence is not looked at: a time that has passed and that nothing can
    /// be done about would keep the driver busy.
    pub(super) fn deadline(&self, may_beat: bool) -> Option<Instant> {
        let silent = self.limit.and_then(|limit| self.received.checked_add(limit));
        let beat = self.beat.filter(|_| may_beat);
        let beat = beat.and_then(|beat| self.sent.checked_add(beat));
        silent.into_iter().chain(beat).min()
    }
}
