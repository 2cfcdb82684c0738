//! What a run of tests says: lines for people, JSON for programs, JUnit's XML for build servers.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::json;

use super::super::load::plural;
use super::super::text::{Table, plain};
use super::coverage::Coverage;
use super::judge::Failure;

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JUnit's XML.
    Junit,
}

/// A case that was run.
pub(super) struct Ran {
    pub(super) file: String,
    /// `file:line:column`.
    pub(super) place: String,
    pub(super) name: String,
    pub(super) failures: Vec<Failure>,
    /// A command that shows why; only where it failed.
    pub(super) hint: Option<String>,
}

/// Everything.
pub(super) struct Report {
    pub(super) ran: Vec<Ran>,
    pub(super) coverage: Vec<Coverage>,
}

#[derive(Serialize)]
struct CaseJson<'a> {
    file: &'a str,
    place: &'a str,
    name: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Ran {
    fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl Report {
    /// How many cases failed.
    pub(super) fn failed(&self) -> usize {
        self.ran.iter().filter(|ran| !ran.passed()).count()
    }

    pub(super) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => self.text(out),
            Format::Json => self.json(out),
            Format::Junit => self.junit(out),
        }
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for ran in &self.ran {
            let word = if ran.passed() { "ok  " } else { "FAIL" };
            writeln!(out, "{word} {}: {}", ran.file, plain(&ran.name))?;
            for failure in &ran.failures {
                writeln!(out, "  {}: {}", failure.place, plain(&failure.key))?;
                writeln!(out, "    expected  {}", plain(&failure.expected))?;
                writeln!(out, "    got       {}", plain(&failure.got))?;
            }
            if let Some(hint) = &ran.hint {
                writeln!(out, "  to see why: {}", plain(hint))?;
            }
        }
        let failed = self.failed();
        let cases = plural(self.ran.len(), "case");
        writeln!(
            out,
            "\n{cases}: {} passed, {failed} failed",
            self.ran.len() - failed
        )?;
        for coverage in &self.coverage {
            self.covered(coverage, out)?;
        }
        Ok(())
    }

    fn covered(&self, coverage: &Coverage, out: &mut dyn Write) -> io::Result<()> {
        let (covered, all) = coverage.sides();
        writeln!(
            out,
            "\n{}: {} % covered ({covered} of {all} sides of the routes: matched by some case, and kept out by filters)",
            coverage.config.join(" "),
            coverage.percent
        )?;
        let mut table = Table::new(&["ROUTE", ">MATCHED", ">KEPT OUT", "MISSING"]);
        for route in &coverage.routes {
            let missing = match (route.matched, route.kept_out) {
                (0, Some(0)) => "no case is about it",
                (0, _) => "no case matches it",
                (_, Some(0)) => "no case is kept out by its filters",
                _ => "",
            };
            table.row(vec![
                route.route.clone(),
                route.matched.to_string(),
                route
                    .kept_out
                    .map_or_else(|| "-".to_owned(), |out| out.to_string()),
                missing.to_owned(),
            ]);
        }
        table.write(out)
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let failure = |failure: &Failure| {
            json!({
                "place": failure.place, "key": failure.key, "expected": failure.expected, "got": failure.got,
            })
        };
        let cases: Vec<CaseJson<'_>> = self
            .ran
            .iter()
            .map(|ran| CaseJson {
                file: &ran.file,
                place: &ran.place,
                name: &ran.name,
                passed: ran.passed(),
                failures: ran.failures.iter().map(failure).collect(),
                hint: ran.hint.as_deref(),
            })
            .collect();
        let all = json!({
            "passed": self.ran.len() - self.failed(),
            "failed": self.failed(),
            "cases": cases,
            "coverage": self.coverage,
        });
        writeln!(out, "{all:#}")
    }

    fn junit(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            out,
            "<testsuites name=\"weft\" tests=\"{}\" failures=\"{}\">",
            self.ran.len(),
            self.failed()
        )?;
        for suite in self.ran.chunk_by(|a, b| a.file == b.file) {
            let failed = suite.iter().filter(|ran| !ran.passed()).count();
            let name = suite.first().map_or("", |ran| &ran.file);
            writeln!(
                out,
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
                xml(name),
                suite.len()
            )?;
            for ran in suite {
                write!(
                    out,
                    "    <testcase classname=\"{}\" name=\"{}\"",
                    xml(name),
                    xml(&ran.name)
                )?;
                if ran.passed() {
                    writeln!(out, "/>")?;
                    continue;
                }
                writeln!(out, ">")?;
                for failure in &ran.failures {
                    let message = format!(
                        "{}: expected {}, got {}",
                        failure.key, failure.expected, failure.got
                    );
                    writeln!(
                        out,
                        "      <failure message=\"{}\">{}</failure>",
                        xml(&message),
                        xml(&format!("{}: {message}", failure.place))
                    )?;
                }
                writeln!(out, "    </testcase>")?;
            }
            writeln!(out, "  </testsuite>")?;
        }
        writeln!(out, "</testsuites>")
    }
}

/// Text that may stand in XML, in an attribute, too.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // No character of XML 1.0.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
