//! How near the process is to its limit of open files. Clients may not take the last of them: without any, no
//! destination can be reached, and health and metrics, which are never shed (C22), could not be asked for.

use std::fs;
use std::os::fd::AsRawFd;

/// What clients leave to everybody else: one file in so many.
const LEFT: usize = 4;

/// The limit, as it was when the ingress began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    /// `None` where nobody tells.
    most: Option<usize>,
}

impl Files {
    /// Asks `/proc`.
    pub(super) fn of_this_process() -> Files {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Files {
            most: soft_limit(&limits),
        }
    }

    /// What an operator has to know, where a new connection would take what others need. A new file has the lowest
    /// number that is free, so that its number tells how many are open, whoever opened them.
    pub(super) fn refuse(self, connection: &impl AsRawFd) -> Option<String> {
        let number = usize::try_from(connection.as_raw_fd()).ok()?;
        let most = self.most?;
        (number >= most - most / LEFT).then(|| {
            format!(
                "{number} of {most} files are open: further connections are answered 503, so that destinations can be reached; raise the limit of open files"
            )
        })
    }
}

/// The soft limit in the text of `/proc/PID/limits`.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_soft_limit_is_found_and_none_is_no_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max processes             96365                96365                processes\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files unlimited unlimited files"), None);
        assert_eq!(soft_limit(""), None);
    }

    #[test]
    fn the_last_quarter_is_not_for_connections() {
        let file = File::open("/dev/null").expect("it is there");
        let number = usize::try_from(file.as_raw_fd()).expect("it is open");
        let of = |most| Files { most }.refuse(&file);
        assert_eq!(of(None), None);
        assert_eq!(of(Some(2 * number + 8)), None);
        assert!(of(Some(number + 1)).is_some_and(|why| why.contains("limit of open files")));
    }
}
