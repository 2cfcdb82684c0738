//! What the kernel knows about a process: time on the cores, and memory. Reads `/proc`, so it is for Linux.

use std::fs;
use std::time::Duration;

use crate::Failure;

/// A unit of the times in `/proc/PID/stat`: a hundredth of a second, whatever the kernel's own tick.
const TICK: Duration = Duration::from_millis(10);

/// Time on the cores of all threads of a process, those that have ended too: user and system.
///
/// # Errors
/// There is no such process.
pub fn cpu(pid: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(cpu_of(&stat).ok_or("/proc/PID/stat reads otherwise here")?)
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The name may hold blanks and parentheses; the state is the first field behind it, and the third of all.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(14 - 3);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK * (user + system))
}

/// A process' memory in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// What is resident now.
    pub now: f64,
    /// The most that ever was.
    pub peak: f64,
}

/// The memory of a process.
///
/// # Errors
/// There is no such process.
pub fn memory(pid: u32) -> Result<Memory, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mib = |name| field(&status, name).ok_or("/proc/PID/status reads otherwise here");
    Ok(Memory {
        now: mib("VmRSS:")?,
        peak: mib("VmHWM:")?,
    })
}

fn field(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_times() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 90 0 0 0 130 25 7 8 20 0 3 0 99 0 0";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1550)));
        assert_eq!(cpu_of("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_told_in_mib() {
        let status = "Name:\tx\nVmHWM:\t    8192 kB\nVmRSS:\t    512 kB\n";
        assert_eq!(field(status, "VmHWM:"), Some(8.0));
        assert_eq!(field(status, "VmRSS:"), Some(0.5));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn this_very_process_has_time_and_memory() {
        let memory = memory(std::process::id()).expect("we are alive");
        assert!(memory.now > 0.0 && memory.peak >= memory.now);
        assert!(cpu(std::process::id()).is_ok());
    }
}
