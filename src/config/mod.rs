//! The configuration: from YAML files to a validated [`Model`].
//!
//! The way: [`source`] reads files, `yaml` parses each into a tree with places, `files` unites them, `substitute`
//! puts `${...}` in, `read` checks types and hands sections to their connectors, `check` looks at the whole.
//!
//! Invariants
//! - Pure but for [`source`]; no clock, no network, no tokio.
//! - Every mistake at once, each with file, line, column, path, what is wrong and what to write instead.
//! - What came out of `${...}` is never printed.
//! - No text makes it panic, recurse or allocate without a bound.
//!
//! Deliberately unknown: which connectors there are (they are passed in), and everything that runs.

mod build;
mod check;
mod describe;
mod difference;
mod files;
pub mod keys;
mod model;
mod print;
mod read;
mod scalar;
pub mod schema;
pub mod source;
mod substitute;
mod yaml;

use std::path::PathBuf;

use weft_api::config::{Finding, Node, Severity};

pub use difference::{KeyChange, differences};
pub use model::{
    Addition, Anycast, Destination, Endpoint, Fallback, Group, Ingress, Member, Model, Place, Plan, Removed,
    Route, SharedLog, Target, Unmatched,
};
pub use print::print;
pub use read::Registry;
pub use source::{Process, Source};
pub use substitute::Environment;
pub use yaml::{DEPTH_MAX, NODES_MAX};

/// Reads and checks the files; a directory stands for its `*.yaml`, sorted.
///
/// # Errors
/// Everything that is wrong, warnings among it, in the order of the files.
pub fn load(
    paths: &[PathBuf],
    registry: Registry<'_>,
    environment: &dyn Environment,
) -> Result<Model, Vec<Finding>> {
    from_sources(&source::read(paths)?, registry, environment)
}

/// The same for texts that were read already.
///
/// # Errors
/// See [`load`].
pub fn from_sources(
    sources: &[Source],
    registry: Registry<'_>,
    environment: &dyn Environment,
) -> Result<Model, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut roots = Vec::new();
    // With a file that is not YAML, names that it defines would seem unknown.
    let mut complete = true;
    for source in sources {
        match yaml::parse(&source.name, &source.text) {
            Ok((root, said)) => {
                roots.push(root);
                findings.extend(said);
            }
            Err(said) => {
                complete = false;
                findings.extend(said);
            }
        }
    }
    let united = files::unite(roots, &mut findings);
    let (true, Some(mut root)) = (complete, united) else {
        return Err(sorted(findings, sources));
    };
    let mut unset = Vec::new();
    substitute::substitute(&mut root, environment, &mut unset);
    let (draft, mut said) = read::read(root, registry);
    // Where nothing could be put in, that is the mistake, and not that `${...}` is no address.
    said.retain(|finding| {
        !unset
            .iter()
            .any(|unset| unset.span == finding.span && unset.path == finding.path)
    });
    findings.extend(unset);
    findings.extend(said);
    check::check(&draft, &mut findings);
    let findings = sorted(findings, sources);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(findings);
    }
    Ok(build::build(draft, findings))
}

/// Reads one text that is no configuration, but written like one, into a tree with places; `${...}` is only text there.
///
/// # Errors
/// Everything that is wrong with its syntax.
pub fn tree(source: &Source) -> Result<Node, Vec<Finding>> {
    let (root, findings) = yaml::parse(&source.name, &source.text)?;
    if findings.is_empty() {
        Ok(root)
    } else {
        Err(findings)
    }
}

/// In the order of the files, each once.
fn sorted(mut findings: Vec<Finding>, sources: &[Source]) -> Vec<Finding> {
    let file = |finding: &Finding| sources.iter().position(|source| source.name == finding.span.file);
    findings.sort_by_key(|finding| (file(finding), finding.span.line, finding.span.column));
    let mut once: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        // The same default went into several entries: equal findings stand at one place, next to each other.
        let repeated = once
            .iter()
            .rev()
            .take_while(|other| other.span == finding.span)
            .any(|other| *other == finding);
        if !repeated {
            once.push(finding);
        }
    }
    once
}
