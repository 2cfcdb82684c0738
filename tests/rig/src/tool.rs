//! Single foreign tools that judge what we write.

use std::env;
use std::process::Command;

use crate::cache;
use crate::dir::Dir;

/// Lets `promtool check metrics` read a scrape, and returns what it complains about; nothing when all is well.
#[must_use]
pub fn promtool(metrics: &str) -> Vec<String> {
    let dir = Dir::new("promtool");
    let scrape = dir.write("scrape", metrics);
    let own = cache::root().join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&path).chain([own])).expect("paths without a colon");
    let scrape = std::fs::File::open(scrape).expect("written above");
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .env("PATH", path)
        .stdin(scrape)
        .output();
    let output = output.unwrap_or_else(|e| panic!("starting promtool: {e}; tools/setup.sh brings it"));
    let said: Vec<String> = [output.stdout, output.stderr]
        .iter()
        .flat_map(|text| {
            String::from_utf8_lossy(text)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        output.status.success() || !said.is_empty(),
        "promtool failed and said nothing"
    );
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promtool_tells_good_metrics_from_bad_ones() {
        assert_eq!(
            promtool("# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n"),
            [""; 0]
        );
        assert_ne!(promtool("# TYPE a counter\na 1\n"), [""; 0]);
        assert_ne!(promtool("a b c\n"), [""; 0]);
    }
}
