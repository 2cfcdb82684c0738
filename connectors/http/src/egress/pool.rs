//! The idle connections of one sender, the last used first.
//!
//! Bounds: `max` connections, each idle for at most `idle`. One task drops what has expired, and lives only while
//! something is idle.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use super::exchange::Connection;

/// How much earlier than the receiver announced a connection is given up, so that the two do not cross.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    idle: Mutex<Idle>,
    max: usize,
    idle_timeout: Duration,
}

#[derive(Default)]
struct Idle {
    /// The last one was parked last.
    connections: Vec<(Box<Connection>, Instant)>,
    /// A task watches the expiry.
    watched: bool,
}

impl Pool {
    pub(super) fn new(max: usize, idle_timeout: Duration) -> Pool {
        Pool {
            idle: Mutex::default(),
            max,
            idle_timeout,
        }
    }

    /// A connection that has not expired and that the receiver has not closed.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        let mut idle = self.lock();
        while let Some((mut connection, expires)) = idle.connections.pop() {
            if expires > now && connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request; `headers` are those of its last answer.
    pub(super) fn park(self: &Arc<Self>, connection: Box<Connection>, headers: &HeaderMap) {
        let now = Instant::now();
        let keep = announced(headers).map_or(self.idle_timeout, |keep| keep.min(self.idle_timeout));
        let mut idle = self.lock();
        if keep.is_zero() || idle.connections.len() >= self.max {
            return;
        }
        idle.connections.push((connection, now + keep));
        if !idle.watched {
            idle.watched = true;
            tokio::spawn(watch(Arc::downgrade(self), now + keep));
        }
    }

    /// Drops what has expired; says when to come again, or `None` (and is no longer watched) when nothing is left.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.lock();
        idle.connections.retain(|(_, expires)| *expires > now);
        let next = idle.connections.iter().map(|(_, expires)| *expires).min();
        idle.watched = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        // What is inside is consistent between any two statements.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(pool: Weak<Pool>, first: Instant) {
    let mut next = first;
    loop {
        sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.expire(Instant::now()) {
            Some(at) => next = at,
            None => return,
        }
    }
}

/// `Keep-Alive: timeout=5`, less the margin.
fn announced(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = text.split(',').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("timeout")
            .then(|| value.trim().parse().ok())?
    })?;
    Some(Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_receiver_s_keep_alive_is_believed_with_a_margin() {
        for (text, expected) in [
            ("timeout=5", Some(4)),
            ("max=100, Timeout = 5", Some(4)),
            ("timeout=0", Some(0)),
            ("timeout=soon", None),
            ("max=100", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", HeaderValue::from_static(text));
            assert_eq!(announced(&headers), expected.map(Duration::from_secs), "{text}");
        }
    }
}
