//! Two clients with one client id throw each other out again and again. The log names it once.
//!
//! Version 5 says so (0x8E). A broker of 3.1.1 only closes the connection, within moments of having accepted it.

use std::time::Duration;

use tokio::time::Instant;

/// A connection that ends sooner ended within moments.
const MOMENTS: Duration = Duration::from_secs(5);
/// So many in a row are no accident: one is what a replica that is replaced does.
const TOLD: u32 = 3;
/// And so many where the broker says what it is.
const TOLD_NAMED: u32 = 2;
/// A connection that lives so long ends the row.
const CALM: Duration = Duration::from_secs(60);

/// What is remembered of past connections.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Takeover {
    row: u32,
    named: u32,
    told: bool,
}

impl Takeover {
    /// An accepted connection of `lived` ended by the broker's will; `named`: it said that the session was taken over. Whether the log must
    /// name the loop: once, until there is calm.
    pub(crate) fn ended(&mut self, lived: Duration, named: bool) -> bool {
        if lived >= CALM {
            *self = Takeover::default();
        }
        self.row = if lived < MOMENTS { self.row + 1 } else { 0 };
        self.named += u32::from(named);
        let loops = self.row >= TOLD || self.named >= TOLD_NAMED;
        loops && !std::mem::replace(&mut self.told, loops)
    }
}

/// How long a connection has lived.
pub(crate) fn lived(since: Instant) -> Duration {
    Instant::now() - since
}

/// The line for the log.
pub(crate) fn line(address: &str, client_id: &str, named: bool) -> String {
    if named {
        format!(
            "{address}: another client uses the client id `{client_id}`, and the broker hands its session to and fro; \
             give each replica its own `client_id` (or `node.name`)"
        )
    } else {
        format!(
            "{address}: the broker accepts the client id `{client_id}` and closes the connection within moments, again and \
             again; another client may use that id (give each replica its own `client_id`), or the broker forbids what \
             follows"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loop_is_told_once() {
        let mut takeover = Takeover::default();
        let told: Vec<bool> = (0..6).map(|_| takeover.ended(SECOND, true)).collect();
        assert_eq!(told, [false, true, false, false, false, false]);
    }

    #[test]
    fn a_broker_that_says_nothing_is_believed_the_third_time() {
        let mut takeover = Takeover::default();
        let told: Vec<bool> = (0..5).map(|_| takeover.ended(SECOND, false)).collect();
        assert_eq!(told, [false, false, true, false, false]);
    }

    #[test]
    fn a_replica_that_is_replaced_and_a_broker_that_restarts_are_no_loop() {
        let mut takeover = Takeover::default();
        assert!(!takeover.ended(3600 * SECOND, true));
        assert!(!takeover.ended(3600 * SECOND, true));
        for _ in 0..10 {
            assert!(!takeover.ended(30 * SECOND, false));
        }
    }

    #[test]
    fn after_calm_a_new_loop_is_told_again() {
        let mut takeover = Takeover::default();
        assert!(!takeover.ended(SECOND, true));
        assert!(takeover.ended(SECOND, true));
        assert!(!takeover.ended(90 * SECOND, true));
        assert!(takeover.ended(SECOND, true));
    }
}
