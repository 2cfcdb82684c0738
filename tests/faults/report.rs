//! Runs and their results: one line a run, and the table at the end, as `docs/faults.md` has it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::run::{self, Outcome};
use crate::scenario::{Scenario, Set};

/// Lines shown of what is wrong.
const LINES: usize = 12;

/// The sums over all runs of one fault.
#[derive(Default, Clone, Copy)]
struct Row {
    runs: usize,
    acknowledged: usize,
    duplicates: usize,
    lost: usize,
    struck: usize,
    failed: usize,
}

/// The results so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, Row)>,
}

impl Report {
    /// Runs a scenario once, prints its line, and says whether nothing is wrong.
    pub(crate) fn run(&mut self, scenario: &Scenario, seed: u64) -> bool {
        // The first half of the line before it: a run that hangs is known by it.
        eprint!("{}: seed {seed}: ", scenario.name());
        let outcome = catch_unwind(AssertUnwindSafe(|| run::run(scenario, seed)));
        let outcome = outcome.unwrap_or_else(|panic| Outcome {
            acknowledged: 0,
            duplicates: 0,
            lost: 0,
            struck: 0,
            seconds: 0.0,
            wrong: vec![format!("panicked: {}", text(&*panic))],
        });
        // What every change runs has an asterisk.
        let mark = if scenario.set == Set::Always { " \\*" } else { "" };
        let name = format!("{}{mark}", scenario.name());
        let Outcome {
            acknowledged,
            duplicates,
            lost,
            struck,
            seconds,
            wrong,
        } = outcome;
        eprintln!(
            "{}: {acknowledged} acknowledged, {lost} lost, {duplicates} duplicates, \
             struck {struck} times, {seconds:.1} s",
            if wrong.is_empty() { "ok" } else { "FAILED" },
        );
        for text in &wrong {
            // The whole of a panic stands above.
            let most = if text.starts_with("panicked") {
                LINES
            } else {
                usize::MAX
            };
            let lines: Vec<&str> = text.lines().take(most).collect();
            eprintln!("  {}", lines.join("\n  "));
        }
        let row = self.row(&name);
        row.runs += 1;
        row.acknowledged += acknowledged;
        row.duplicates += duplicates;
        row.lost += lost;
        row.struck += struck;
        row.failed += usize::from(!wrong.is_empty());
        wrong.is_empty()
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let at = match self.rows.iter().position(|(known, _)| known == name) {
            Some(at) => at,
            None => {
                self.rows.push((name.to_owned(), Row::default()));
                self.rows.len() - 1
            }
        };
        &mut self.rows[at].1
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text =
            String::from("| fault, flow | runs | acknowledged | duplicates | lost | struck | failed |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        let mut all = Row::default();
        for (name, row) in &self.rows {
            line(&mut text, name, *row);
            all.runs += row.runs;
            all.acknowledged += row.acknowledged;
            all.duplicates += row.duplicates;
            all.lost += row.lost;
            all.struck += row.struck;
            all.failed += row.failed;
        }
        line(&mut text, "**all**", all);
        text
    }
}

fn line(text: &mut String, name: &str, row: Row) {
    let Row {
        runs,
        acknowledged,
        duplicates,
        lost,
        struck,
        failed,
    } = row;
    writeln!(
        text,
        "| {name} | {runs} | {acknowledged} | {duplicates} | {lost} | {struck} | {failed} |"
    )
    .expect("writing to a string");
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}
