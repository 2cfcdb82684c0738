//! One run after another: says beforehand how long all of them take, goes on after one that failed, prints the table at
//! the end, and then what was broken.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::{Failure, tool};

/// What a run says: its rows of the table, the promises that it broke, and the figures that are not as they should be.
pub type Said = (String, Vec<String>, Vec<&'static str>);

/// One run.
pub struct Run<'a> {
    /// What it is called.
    pub name: String,
    /// About how long it takes.
    pub takes: Duration,
    /// Runs it.
    pub run: Box<dyn FnOnce() -> Result<Said, Failure> + 'a>,
}

/// Runs all of them. `head`: that of the table.
///
/// # Errors
/// One failed, was void, or broke a promise.
pub fn each(what: &str, head: &str, runs: Vec<Run<'_>>) -> Result<(), Failure> {
    let takes: Duration = runs.iter().map(|run| run.takes).sum();
    let count = runs.len();
    tool::note(&format!(
        "{what}: {count} runs, about {} minutes",
        takes.as_secs().div_ceil(60)
    ));
    let began = Instant::now();
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (at, Run { name, takes, run }) in runs.into_iter().enumerate() {
        let minutes = began.elapsed().as_secs() / 60;
        tool::note(&format!(
            "{what} {}/{count}, minute {minutes}: {name}, about {} s",
            at + 1,
            takes.as_secs()
        ));
        // The rig panics where it cannot go on; the other runs may.
        let said =
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("its reason stands above".into()));
        match said {
            Ok((row, mut bad, missed)) => {
                rows.push(row);
                bad.iter_mut().for_each(|what| *what = format!("{name}: {what}"));
                if !missed.is_empty() {
                    tool::note(&format!("{name}: not as it should be: {}", missed.join(", ")));
                }
                broken.extend(bad);
            }
            Err(error) => {
                tool::note(&format!("{name}: failed"));
                broken.push(format!("{name}: {error}"));
            }
        }
    }
    tool::say(&format!("\n{head}\n{}\n", rows.join("\n")));
    if broken.is_empty() {
        return Ok(());
    }
    tool::note(&format!(
        "failed, void, or a promise broken:\n{}",
        broken.join("\n")
    ));
    Err(format!("{what}: not all is as it must be").into())
}

/// The router's binary: as named, or the one beside this executable.
///
/// # Errors
/// It is not there.
pub fn weft(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let path = match named {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("weft"),
    };
    if !path.is_file() {
        return Err(format!(
            "{} is not there: cargo build --release --bin weft",
            path.display()
        )
        .into());
    }
    Ok(path.canonicalize()?)
}
