//! A hop of the network: a namespace of its own between a client and the servers on loopback. What is sent to
//! [`Hop::host`] crosses it on the way there and back, at any port, as packets: so it can lose those of one direction,
//! reset connections, be unplugged, and have little bandwidth. Client and server stay where they are and know nothing.
//!
//! It owns the namespace, a pair of interfaces, a /30 out of 198.18.0.0/15 (the range for tests of networks, RFC 2544)
//! and one nft table in the namespace of the test; all of them carry the process' id, go with the value, and are swept
//! by the next process if this one was killed. It needs root and nft; where it cannot be made, [`Hop::new`] says why.
//!
//! NOTE: how it works. The address of `host` belongs to the namespace, which sends each connection back to our own end
//! (dnat, and masquerade so that answers cross it, too), where one more dnat leads it to 127.0.0.1.
//!
//! For delay, and for holding what a server said, take the [`Relay`](crate::Relay): this kernel has no netem.

use std::fs::{self, File};
use std::path::Path;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lacking::{Lacking, tool};

const PREFIX: &str = "weft-rig-";
/// Blocks of four addresses in 198.18.0.0/15.
const BLOCKS: u32 = 1 << 15;

/// The hop. Dropping it takes the way through it away.
#[derive(Debug)]
pub struct Hop {
    /// Of the namespace, and of the table in ours.
    name: String,
    /// The interface in the namespace.
    inner: String,
    host: String,
    /// Keeps the addresses from other processes.
    _block: File,
}

/// What a hop does to the packets of TCP that cross it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// What clients send is lost, and the answers of servers are not.
    Requests,
    /// What servers send is lost: they act, and clients cannot know.
    Answers,
    /// Everything is lost.
    Both,
    /// Nothing passes, and who sends something gets RST.
    Reset,
}

impl Hop {
    /// Makes a hop that passes everything.
    ///
    /// # Errors
    /// This machine has no namespaces, no nft, or gives them only to root.
    pub fn new() -> Result<Self, Lacking> {
        static SWEPT: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let (number, block) = block()?;
        let owner = format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (ours, theirs) = (address(number, 1), address(number, 2));
        let hop = Self {
            name: format!("{PREFIX}{owner}"),
            inner: format!("wi{owner}"),
            host: theirs.clone(),
            _block: block,
        };
        // From here on a failure drops it, and what is made already goes.
        let (name, outer, inner) = (hop.name.as_str(), format!("wo{owner}"), hop.inner.as_str());
        ip(&format!("netns add {name}"))?;
        ip(&format!(
            "link add {outer} type veth peer name {inner} netns {name}"
        ))?;
        ip(&format!("addr add {ours}/30 dev {outer}"))?;
        ip(&format!("link set {outer} up"))?;
        ip(&format!("-n {name} addr add {theirs}/30 dev {inner}"))?;
        ip(&format!("-n {name} link set {inner} up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        tool(&["ip", "netns", "exec", name, "sh", "-c", forward], "")?;
        hop.nft(&format!(
            "table ip weft {{\n\
             chain there {{ type nat hook prerouting priority -100; dnat to {ours}; }}\n\
             chain back {{ type nat hook postrouting priority 100; masquerade; }}\n\
             chain fault {{ type filter hook forward priority 0; }}\n}}\n"
        ))?;
        let local = format!("/proc/sys/net/ipv4/conf/{outer}/route_localnet");
        fs::write(&local, "1").map_err(|e| Lacking::new(format!("writing {local}: {e}")))?;
        let table = format!(
            "table ip {name} {{\n\
             chain in {{ type nat hook prerouting priority -100; iifname \"{outer}\" dnat to 127.0.0.1; }}\n}}\n"
        );
        tool(&["nft", "-f", "-"], &table)?;
        Ok(hop)
    }

    /// The address whose every port leads through the hop to the same port on 127.0.0.1.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Passes everything again, with all the bandwidth there is.
    pub fn heal(&self) {
        self.rules("");
        self.link("up");
        // An error says that there was no limit.
        let _ = tool(
            &["tc", "-n", &self.name, "qdisc", "del", "dev", &self.inner, "root"],
            "",
        );
    }

    /// Loses packets from now on, of connections that exist and of new ones, at every port.
    pub fn lose(&self, loss: Loss) {
        self.rules(&loss.rule(""));
    }

    /// The same at one port of the servers only; the others pass.
    pub fn lose_at(&self, port: u16, loss: Loss) {
        self.rules(&loss.rule(&format!("ct original proto-dst {port} ")));
    }

    /// Takes the cable out: the carrier is gone until [`Hop::heal`].
    pub fn unplug(&self) {
        self.link("down");
    }

    /// Passes no more than so many kilobits a second, in both directions together.
    pub fn slow(&self, kilobits: u32) {
        let rate = format!("{kilobits}kbit");
        let mut words = vec![
            "tc",
            "-n",
            &self.name,
            "qdisc",
            "replace",
            "dev",
            &self.inner,
            "root",
            "tbf",
        ];
        words.extend(["rate", &rate, "burst", "16kb", "latency", "500ms"]);
        self.must(tool(&words, ""));
    }

    /// How many packets the rule of [`Hop::lose`] has met since it was set: 0 says that there was no fault.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let listed = tool(
            &[
                "ip", "netns", "exec", &self.name, "nft", "list", "table", "ip", "weft",
            ],
            "",
        );
        let listed = listed.unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let counts = listed.split("counter packets ").skip(1);
        counts
            .filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    fn rules(&self, rules: &str) {
        self.must(self.nft(&format!("flush chain ip weft fault\n{rules}")));
    }

    fn link(&self, state: &str) {
        self.must(ip(&format!("-n {} link set {} {state}", self.name, self.inner)));
    }

    fn nft(&self, script: &str) -> Result<String, Lacking> {
        tool(&["ip", "netns", "exec", &self.name, "nft", "-f", "-"], script)
    }

    /// What worked when the hop was made works later.
    #[track_caller]
    fn must(&self, done: Result<String, Lacking>) {
        if let Err(why) = done {
            panic!("{}: {why}", self.name);
        }
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        // Whatever was made of it; the interfaces go with the namespace.
        let _ = tool(&["nft", "delete", "table", "ip", &self.name], "");
        let _ = tool(&["ip", "netns", "del", &self.name], "");
    }
}

impl Loss {
    /// As a line for nft, for the packets that `of` selects.
    fn rule(self, of: &str) -> String {
        let (way, end) = match self {
            Loss::Requests => ("ct direction original ", "drop"),
            Loss::Answers => ("ct direction reply ", "drop"),
            Loss::Both => ("", "drop"),
            Loss::Reset => ("", "reject with tcp reset"),
        };
        format!("add rule ip weft fault meta l4proto tcp {of}{way}counter {end}\n")
    }
}

fn ip(words: &str) -> Result<String, Lacking> {
    let words: Vec<&str> = ["ip"].into_iter().chain(words.split(' ')).collect();
    tool(&words, "")
}

/// An address of a block.
fn address(number: u32, nth: u32) -> String {
    let at = number * 4 + nth;
    format!("198.{}.{}.{}", 18 + (at >> 16), (at >> 8) & 255, at & 255)
}

/// A block of addresses that no other process has, and the lock that says so.
fn block() -> Result<(u32, File), Lacking> {
    let locks = std::env::temp_dir().join("weft-rig.blocks");
    let failed = |e: std::io::Error| Lacking::new(format!("locking in {}: {e}", locks.display()));
    fs::create_dir_all(&locks).map_err(failed)?;
    for number in 0..BLOCKS {
        let lock = File::create(locks.join(number.to_string())).map_err(failed)?;
        if lock.try_lock().is_ok() {
            return Ok((number, lock));
        }
    }
    Err(Lacking::new("every block of 198.18.0.0/15 is taken"))
}

/// Takes away the hops of processes that are gone.
fn sweep() {
    for name in tool(&["ip", "netns", "list"], "").unwrap_or_default().lines() {
        let name = name.split(' ').next().unwrap_or_default();
        if is_orphan(name) {
            let _ = tool(&["ip", "netns", "del", name], "");
        }
    }
    for line in tool(&["nft", "list", "tables", "ip"], "")
        .unwrap_or_default()
        .lines()
    {
        let name = line.strip_prefix("table ip ").unwrap_or_default();
        if is_orphan(name) {
            let _ = tool(&["nft", "delete", "table", "ip", name], "");
        }
    }
}

fn is_orphan(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    let owner = owner.and_then(|pid| pid.parse::<u32>().ok());
    owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_stay_in_the_range_for_tests() {
        assert_eq!(
            (address(0, 1), address(0, 2)),
            ("198.18.0.1".into(), "198.18.0.2".into())
        );
        assert_eq!(address(1, 1), "198.18.0.5");
        assert_eq!(address(BLOCKS - 1, 2), "198.19.255.254");
        let (first, _lock) = block().expect("a block is free");
        assert_ne!(block().expect("another one is free").0, first);
    }

    #[test]
    fn only_what_a_dead_process_left_is_an_orphan() {
        assert!(!is_orphan(&format!("{PREFIX}{}-0", process::id())));
        assert!(is_orphan(&format!("{PREFIX}4294967295-0")));
        assert!(!is_orphan("weft-rigging-1") && !is_orphan("docker0"));
    }
}
