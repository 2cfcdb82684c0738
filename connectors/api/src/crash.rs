//! Crash points: named places in the life of an event, and of the router, at which a build for tests kills its own
//! process. Owns the variable `WEFT_CRASH_AT`; the names and what each shows stand in `docs/faults.md`.
//!
//! Without the feature `crash-points`, which nothing but tests turns on, [`point`] is empty and no code is left of it.

/// Passes a named place. `WEFT_CRASH_AT=NAME:COUNT`, read once, ends the process at the COUNT-th passing of NAME.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// Whether this process is to end at a place, sooner or later: for a place that has to be prepared.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
#[must_use]
pub fn is_armed(_name: &str) -> bool {
    false
}

#[cfg(feature = "crash-points")]
pub use armed::{is_armed, point};

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        name: String,
        left: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    fn armed() -> Option<&'static Armed> {
        let armed = ARMED.get_or_init(|| parse(&std::env::var("WEFT_CRASH_AT").ok()?));
        armed.as_ref()
    }

    /// Whether this process is to end at a place, sooner or later: for a place that has to be prepared.
    #[must_use]
    pub fn is_armed(name: &str) -> bool {
        armed().is_some_and(|armed| armed.name == name)
    }

    /// Passes a named place. `WEFT_CRASH_AT=NAME:COUNT`, read once, ends the process at the COUNT-th passing of NAME.
    pub fn point(name: &str) {
        if let Some(armed) = armed()
            && armed.name == name
            && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            // Not a signal sent by a helper: other threads would go on until it arrives. No destructor and no handler
            // runs here either, and the kernel closes what is open: a SIGKILL in all but its number.
            std::process::abort();
        }
    }

    fn parse(text: &str) -> Option<Armed> {
        let (name, count) = text.rsplit_once(':')?;
        let count: u64 = count.parse().ok().filter(|count| *count > 0)?;
        Some(Armed {
            name: name.to_owned(),
            left: AtomicU64::new(count),
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_name_without_a_count_arms_nothing() {
            assert!(parse("egress.taken").is_none());
            assert!(parse("egress.taken:0").is_none());
            assert!(parse("egress.taken:x").is_none());
            let armed = parse("egress.taken:3").map(|armed| (armed.name, armed.left.into_inner()));
            assert_eq!(armed, Some(("egress.taken".to_owned(), 3)));
        }
    }
}
