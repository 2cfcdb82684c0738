//! `weft test`: runs the cases that users write beside their routes. Nothing is opened, nothing is sent.
//!
//! The way: `read` reads test files and looks their names up, `input` asks the ingress' own connector what it makes of a
//! raw message, the router's own admission and plans (`app::Rehearsal`) say what becomes of it (`told`), `judge` compares,
//! and `coverage` counts which routes were matched and kept out.

mod coverage;
mod file;
mod input;
mod judge;
mod read;
mod report;
mod told;
mod words;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use weft_api::config::Finding;

use self::coverage::Coverage;
use self::read::{Given, Read};
use self::report::{Format, Ran, Report};
use super::CliError;
use super::load::{plural, wrong};
use crate::config::{self, Model, source};
use crate::{app, connectors};

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files with tests, or directories with *.test.yaml.
    #[arg(required = true, value_name = "TESTS")]
    tests: Vec<PathBuf>,
    /// The configuration under test, in place of what the files name; may be repeated.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Run only cases whose names contain this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Fail when fewer sides of the routes are covered, in percent.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100), conflicts_with = "filter")]
    coverage_min: Option<u32>,
}

/// The JSON Schema of test files.
pub(super) fn schema() -> serde_json::Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    generator.root_schema_for::<file::TestFile>().to_value()
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let files = read::listed(&args.tests).map_err(CliError::Config)?;
    let sources = source::read(&files).map_err(|mut findings| {
        for finding in &mut findings {
            finding.what = finding
                .what
                .replacen("the configuration", "this file with tests", 1);
        }
        wrong(&findings)
    })?;
    let (mut reads, mut findings) = (Vec::new(), Vec::new());
    for source in &sources {
        match read::read(source) {
            Ok(read) => reads.push(read),
            Err(said) => findings.extend(said),
        }
    }
    let mut suites = Vec::new();
    for read in &reads {
        match load(read, &args.config) {
            Ok(suite) => suites.push(suite),
            Err(said) => findings.extend(said),
        }
    }
    let mut ready = Vec::new();
    for suite in &suites {
        match suite.read.ready(&suite.model) {
            Ok(cases) => ready.push((suite, cases)),
            Err(said) => findings.extend(said),
        }
    }
    if !findings.is_empty() {
        return Err(wrong(&findings));
    }
    let report = rehearse(&ready, args.filter.as_deref())?;
    if report.ran.is_empty() {
        let part = args.filter.as_deref().unwrap_or_default();
        return Err(CliError::Config(format!(
            "--filter {part}: no case has this in its name"
        )));
    }
    report.write(args.format, out)?;
    end(&report, args)
}

/// A test file and the configuration that it is about.
struct Suite<'a> {
    read: &'a Read,
    files: Vec<String>,
    model: Model,
}

fn load<'a>(read: &'a Read, instead: &[PathBuf]) -> Result<Suite<'a>, Vec<Finding>> {
    let files = if instead.is_empty() {
        read.config()
    } else {
        instead.to_vec()
    };
    if files.is_empty() {
        let what = "it is not said which configuration is under test";
        return Err(vec![
            read.at_config(what, "add `config: routes.yaml`, or name it with --config"),
        ]);
    }
    let model = config::load(&files, connectors::ALL, &Given(&read.file))?;
    let files = files
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        .collect();
    Ok(Suite { read, files, model })
}

fn rehearse(ready: &[(&Suite<'_>, Vec<read::Ready<'_>>)], filter: Option<&str>) -> Result<Report, CliError> {
    let mut ran = Vec::new();
    // Several files with tests may be about the same configuration.
    let mut coverage: BTreeMap<&[String], Coverage> = BTreeMap::new();
    for (suite, cases) in ready {
        let rehearsal = app::rehearsal(&suite.model);
        let covered = coverage
            .entry(&suite.files)
            .or_insert_with(|| Coverage::new(suite.files.clone(), &suite.model));
        let file = &suite.read.file;
        for case in cases {
            if filter.is_some_and(|part| !case.case.name.contains(part)) {
                continue;
            }
            let told = told::play(case, &rehearsal).map_err(CliError::Internal)?;
            for one in told.iter().filter(|told| told.malformed.is_none()) {
                if one.event.is_some() {
                    covered.count(&suite.model, case.ingress, &one.routes);
                }
            }
            let failures = judge::judge(case, &told, &rehearsal);
            let failed = failures.first().and_then(|failure| told.get(failure.event));
            let hint = failed.and_then(|told| told::hint(case, told, &suite.files, file));
            ran.push(Ran {
                file: suite.read.name.to_string(),
                place: read::below(case.node, &["name"]).span.to_string(),
                name: case.case.name.clone(),
                failures,
                hint,
            });
        }
    }
    let mut coverage: Vec<Coverage> = coverage.into_values().collect();
    coverage.iter_mut().for_each(Coverage::close);
    Ok(Report { ran, coverage })
}

fn end(report: &Report, args: &Args) -> Result<(), CliError> {
    let failed = report.failed();
    if failed > 0 {
        let cases = plural(report.ran.len(), "case");
        return Err(CliError::Failed(format!("{failed} of {cases} failed")));
    }
    let min = args.coverage_min.unwrap_or(0);
    match report.coverage.iter().find(|coverage| coverage.percent < min) {
        Some(coverage) => Err(CliError::Failed(format!(
            "{}: {} % of the sides of the routes are covered, and --coverage-min asks for {min} %",
            coverage.config.join(" "),
            coverage.percent
        ))),
        None => Ok(()),
    }
}
