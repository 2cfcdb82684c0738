//! A copy of the sources in which a guard may be undone, and the simulator built and run there.
//!
//! It shares the target directory with the clone, so that no dependency is compiled again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::guards::Guard;

/// What is not copied.
const LEFT_OUT: [&str; 4] = ["target", ".git", "node_modules", "__pycache__"];
/// The test that runs cases without a store, and the one with it.
const PLAIN: &str = "every_obligation";
const STORED: &str = "every_event_in_a_log";
const SEEDS: &str = "1000";
/// A router without a guard may go round for ever; `timeout` of the coreutils ends it.
const SECONDS_MAX: &str = "900";

pub(crate) struct Scratch {
    at: PathBuf,
    target: PathBuf,
}

/// How the simulator ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Ran {
    Passed,
    /// The first seed that failed, and what was found.
    Failed {
        seed: String,
        finding: String,
    },
    /// It was not built, or did not end; why.
    Broken(String),
}

impl Scratch {
    pub(crate) fn new(root: &Path) -> Scratch {
        let own = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let at = own.join("mutants");
        // What is left of an earlier run may have a guard undone.
        let _ = fs::remove_dir_all(&at);
        copy(root, &at);
        let target = own
            .parent()
            .expect("the directory lies in the target's")
            .to_owned();
        Scratch { at, target }
    }

    /// The simulator with this guard undone; puts it back afterwards.
    pub(crate) fn without(&self, guard: &Guard) -> Ran {
        let path = self.at.join(&guard.file);
        let whole = fs::read_to_string(&path).expect("the file was copied");
        fs::write(&path, whole.replacen(&guard.from, &guard.to, 1)).expect("the copy is ours");
        let ran = self.run(guard.stored);
        fs::write(&path, whole).expect("the copy is ours");
        ran
    }

    /// The simulator's cases with a store, or those without one.
    pub(crate) fn run(&self, stored: bool) -> Ran {
        let built = self.cargo(&["--no-run"]);
        if !built.status.success() {
            return Ran::Broken(text(&built.stderr));
        }
        let ran = self.cargo(&[if stored { STORED } else { PLAIN }, "--", "--nocapture"]);
        if ran.status.success() {
            return Ran::Passed;
        }
        first_finding(&text(&ran.stderr))
            .unwrap_or_else(|| Ran::Broken(format!("no finding: {}", ran.status)))
    }

    fn cargo(&self, more: &[&str]) -> Output {
        Command::new("timeout")
            .args([SECONDS_MAX, env!("CARGO"), "test", "--locked", "--all-features"])
            .args(["-p", "weft", "--test", "sim"])
            .args(more)
            .current_dir(&self.at)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("WEFT_SIM_SEEDS", SEEDS)
            .env("WEFT_SIM_STOP", "1")
            .env_remove("WEFT_SIM_SEED")
            .env_remove("WEFT_SIM_FIRST")
            .output()
            .expect("timeout and cargo are there")
    }
}

/// Of the seeds that failed the lowest: several may be under way when the first one does.
fn first_finding(told: &str) -> Option<Ran> {
    let mut lines = told.lines().peekable();
    let mut first: Option<(u64, String)> = None;
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("WEFT_SIM_SEED=") else {
            continue;
        };
        let seed: u64 = rest.split(':').next()?.parse().ok()?;
        let finding = lines.peek().map_or("", |line| line.trim()).replace('|', "/");
        if first.as_ref().is_none_or(|(known, _)| seed < *known) {
            first = Some((seed, finding));
        }
    }
    first.map(|(seed, finding)| Ran::Failed {
        seed: seed.to_string(),
        finding,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the target directory is ours");
    for entry in fs::read_dir(from).expect("the sources can be read").flatten() {
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|out| name == *out) {
            continue;
        }
        let (path, to) = (entry.path(), to.join(&name));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("the target directory is ours");
        }
    }
}
