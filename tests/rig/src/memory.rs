//! A memory limit that the kernel enforces, and that kills who breaks it: a control group of version 1, or of version 2
//! where its root hands the memory on. It owns the group's directory, which goes with the value; an empty one that a
//! killed test left behind does no harm, and is swept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::eventually;
use crate::lacking::Lacking;

const PREFIX: &str = "weft-rig-";
/// The kernel needs a moment to see that the last process of a group has ended.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// The limit. Processes join it at their start, see [`WeftBuilder::memory`](crate::WeftBuilder::memory).
#[derive(Debug)]
pub struct MemoryLimit {
    dir: PathBuf,
    names: &'static Names,
}

#[derive(Debug)]
struct Names {
    limit: &'static str,
    peak: &'static str,
    events: &'static str,
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
};

const V2: Names = Names {
    limit: "memory.max",
    peak: "memory.peak",
    events: "memory.events",
};

impl MemoryLimit {
    /// A group that may hold so much.
    ///
    /// # Errors
    /// There are no control groups for memory here, or only root may make them.
    pub fn mib(limit: u64) -> Result<Self, Lacking> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (parent, names) = parent()?;
        sweep(&parent);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("{PREFIX}{}-{number}", process::id()));
        let failed = |what: &Path, e: std::io::Error| Lacking::new(format!("{}: {e}", what.display()));
        fs::create_dir(&dir).map_err(|e| failed(&dir, e))?;
        let group = Self { dir, names };
        let file = group.dir.join(names.limit);
        fs::write(&file, (limit << 20).to_string()).map_err(|e| failed(&file, e))?;
        Ok(group)
    }

    /// The file to which a process writes its id to join.
    #[must_use]
    pub fn door(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// The most memory that the group has held, page cache included, in MiB.
    #[must_use]
    pub fn peak_mib(&self) -> u64 {
        let text = self.read(self.names.peak);
        text.trim()
            .parse::<u64>()
            .unwrap_or_else(|e| panic!("{text:?}: {e}"))
            >> 20
    }

    /// How many processes the kernel has killed for breaking the limit.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let text = self.read(self.names.events);
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.map_or(0, |count| count.trim().parse().expect("a count"))
    }

    fn read(&self, name: &str) -> String {
        let path = self.dir.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Whoever is still inside dies with the test; the next process sweeps.
            let _ = fs::remove_dir(&self.dir);
            return;
        }
        eventually("the end of a control group", LEAVE_LIMIT, || {
            fs::remove_dir(&self.dir).ok()
        });
    }
}

/// Where groups may be made, and how their files are called.
fn parent() -> Result<(PathBuf, &'static Names), Lacking> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        controllers
            .split(',')
            .any(|name| name == "memory")
            .then(|| parts.next())?
    });
    if let Some(path) = path {
        let root = Path::new("/sys/fs/cgroup/memory");
        // In a container the path may be one that is seen from outside only.
        let own = root.join(path.trim_start_matches('/'));
        return Ok((if own.is_dir() { own } else { root.to_owned() }, &V1));
    }
    let root = Path::new("/sys/fs/cgroup");
    let handed_on = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    if handed_on.split_ascii_whitespace().any(|name| name == "memory") {
        return Ok((root.to_owned(), &V2));
    }
    Err(Lacking::new(
        "no control group for memory, neither of version 1 nor of version 2",
    ))
}

/// Removes the empty groups of processes that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let gone = owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if gone {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
