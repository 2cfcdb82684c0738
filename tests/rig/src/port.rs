//! Ports that are free, and stay so until somebody binds them: a test starts Weft before its broker, on a port that is
//! known beforehand. They come from below the range that the kernel gives to outgoing connections, and a locked file
//! keeps other test processes on this machine away from each one until this process ends.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
const TRIES: u32 = 1_000;

/// The locks of the ports that this process was given.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port where nobody listens, which no later call in any test process returns while this one lives.
#[must_use]
pub fn free_port() -> u16 {
    let locks = std::env::temp_dir().join("weft-rig.ports");
    fs::create_dir_all(&locks).unwrap_or_else(|e| panic!("making {}: {e}", locks.display()));
    for _ in 0..TRIES {
        let port =
            FIRST + u16::try_from(random() % u64::from(LAST - FIRST)).expect("less than a u16's range");
        let lock = File::create(locks.join(port.to_string())).expect("creating a port's lock file");
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            RESERVED.lock().expect("no holder panics").push(lock);
            return port;
        }
    }
    panic!("no free port among {TRIES} tries between {FIRST} and {LAST}");
}

/// The seed of a fresh hasher is random, and enough for a choice that is checked afterwards.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_even_while_nobody_listens_there() {
        let ports: HashSet<u16> = (0..64).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 64);
        assert!(ports.iter().all(|p| (FIRST..LAST).contains(p)));
    }
}
