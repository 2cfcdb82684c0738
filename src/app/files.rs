//! The files that the process may open. Connections need them, and segments of logs: the 1,024 that a shell or a container
//! gives at first are too few for a store of many gigabytes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as anybody needs; the systemd unit gives as many.
const ENOUGH: u64 = 65_536;

/// Raises the limit towards the one that only root may pass. Where that fails, it is as before.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if current >= wanted {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(from = current, to = wanted, "open files"),
        Err(error) => tracing::warn!(%error, current, "raising the limit of open files"),
    }
}
