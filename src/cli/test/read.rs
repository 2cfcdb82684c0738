//! Reads test files and says everything that is wrong with them at once: syntax and types as for a configuration, then
//! names that lead nowhere, and cases that say nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_api::config::{Finding, Node, Value, decode, nearest};

use super::file::{Case, Expect, TestFile};
use super::input::{self, Input};
use crate::config::{Environment, Ingress, Model, Process, Source, tree};

/// The end of a test file's name: what a directory stands for.
const SUFFIX: &str = ".test.yaml";

/// A test file that was read.
pub(super) struct Read {
    /// As it was named.
    pub(super) name: Arc<str>,
    pub(super) file: TestFile,
    /// The file as a tree, for places.
    pub(super) root: Node,
}

/// A case whose names were looked up.
pub(super) struct Ready<'a> {
    pub(super) case: &'a Case,
    /// The case as a tree, for places.
    pub(super) node: &'a Node,
    pub(super) ingress: &'a Ingress,
    pub(super) input: Input,
}

/// What `${...}` stands for.
pub(super) struct Given<'a>(pub(super) &'a TestFile);

impl Environment for Given<'_> {
    fn var(&self, name: &str) -> Option<String> {
        let own = self.0.env.get(name).map(|text| text.0.clone());
        own.or_else(|| Process.var(name))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        match self.0.files.get(path) {
            Some(text) => Ok(text.clone()),
            None => Process.file(path),
        }
    }
}

/// The files behind what was named: a directory is its `*.test.yaml`, sorted.
///
/// # Errors
/// A directory without any.
pub(super) fn listed(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|file| file.to_string_lossy().ends_with(SUFFIX) && file.is_file())
            .collect();
        if found.is_empty() {
            return Err(format!(
                "{}: the directory has no *{SUFFIX} file; put tests there, or name a file",
                path.display()
            ));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Reads one file.
///
/// # Errors
/// Everything that is wrong with its syntax and types.
pub(super) fn read(source: &Source) -> Result<Read, Vec<Finding>> {
    let root = tree(source)?;
    if !matches!(root.value, Value::Map(_)) {
        let what = "a file with tests is a mapping, with the cases in a list under `tests:`";
        let remedy = "write `config: routes.yaml`, then `tests:` and the cases below it";
        return Err(vec![Finding::error(&root, what, remedy)]);
    }
    let file: TestFile = decode(&root)?;
    Ok(Read {
        name: Arc::clone(&source.name),
        file,
        root,
    })
}

impl Read {
    /// The configuration that it names, from where it stands.
    pub(super) fn config(&self) -> Vec<PathBuf> {
        let beside = Path::new(&*self.name).parent().unwrap_or(Path::new(""));
        let named = self.file.config.iter().flat_map(|names| &names.0);
        named.map(|name| beside.join(name)).collect()
    }

    /// A finding at the key `config`, or at the file's beginning.
    pub(super) fn at_config(&self, what: &str, remedy: &str) -> Finding {
        Finding::error(self.root.get("config").unwrap_or(&self.root), what, remedy)
    }

    /// The cases, with their names looked up in `model`.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn ready<'a>(&'a self, model: &'a Model) -> Result<Vec<Ready<'a>>, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut ready = Vec::new();
        let mut names = HashSet::new();
        let nodes: &[Node] = match self.root.get("tests").map(|node| &node.value) {
            Some(Value::List(nodes)) => nodes,
            _ => &[],
        };
        if nodes.is_empty() {
            let at = self.root.get("tests").unwrap_or(&self.root);
            let what = "there are no tests in this file";
            findings.push(Finding::error(
                at,
                what,
                "add a case: `- name: ...` with an event or a message, and `expect:`",
            ));
        }
        for (case, node) in self.file.tests.iter().zip(nodes) {
            let before = findings.len();
            let mut check = Check {
                model,
                node,
                findings: &mut findings,
            };
            if case.name.trim().is_empty() || !names.insert(case.name.as_str()) {
                let what = format!("another case is called `{}`, or the name is empty", case.name);
                check.at(&["name"], what, "give each case a name of its own");
            }
            let input = check.input(case);
            let ingress = check.ingress(case, input.as_ref());
            check.names(case);
            check.expectations(&case.expect);
            if let (true, Some(ingress), Some(input)) = (findings.len() == before, ingress, input) {
                ready.push(Ready {
                    case,
                    node,
                    ingress,
                    input,
                });
            }
        }
        findings.sort_by_key(|finding| (finding.span.line, finding.span.column));
        if findings.is_empty() {
            Ok(ready)
        } else {
            Err(findings)
        }
    }
}

/// The node below `node` at the end of these keys, as far as they go.
pub(super) fn below<'n>(node: &'n Node, keys: &[&str]) -> &'n Node {
    let step = |node: &'n Node, key: &&str| node.get(key).unwrap_or(node);
    keys.iter().fold(node, step)
}

struct Check<'a, 'f> {
    model: &'a Model,
    node: &'a Node,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Check<'a, '_> {
    fn at(&mut self, keys: &[&str], what: impl Into<String>, remedy: impl Into<String>) {
        self.findings
            .push(Finding::error(below(self.node, keys), what, remedy));
    }

    fn input(&mut self, case: &Case) -> Option<Input> {
        let given = [
            ("event", case.event.is_some()),
            ("http", case.http.is_some()),
            ("kafka", case.kafka.is_some()),
            ("mqtt", case.mqtt.is_some()),
            ("amqp", case.amqp.is_some()),
        ];
        let given: Vec<&str> = given
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(key, _)| key)
            .collect();
        if given.len() > 1 {
            let what = format!(
                "one thing comes in, and this case has `{}`",
                given.join("` and `")
            );
            self.at(&given[1..2], what, "make two cases of it");
            return None;
        }
        match input::read(case) {
            Ok(Some(input)) => Some(input),
            Ok(None) => {
                let what = "nothing comes in";
                self.at(
                    &[],
                    what,
                    "add `event:`, or a message: `http:`, `kafka:`, `mqtt:` or `amqp:`",
                );
                None
            }
            Err((key, why)) => {
                let (what, remedy) = why
                    .split_once("; ")
                    .unwrap_or((&why, "see docs/testing-routes.md for its shape"));
                self.at(&[key], what, remedy);
                None
            }
        }
    }

    fn ingress(&mut self, case: &Case, input: Option<&Input>) -> Option<&'a Ingress> {
        let kind = match input {
            Some(Input::Raw(kind, _)) => Some(*kind),
            _ => None,
        };
        let Some(name) = &case.ingress else {
            let fits: Vec<&Ingress> = self
                .model
                .ingress
                .iter()
                .filter(|ingress| kind.is_none_or(|kind| ingress.kind == kind))
                .collect();
            let names: Vec<&str> = fits.iter().map(|ingress| &*ingress.name).collect();
            return match fits.as_slice() {
                [only] => Some(only),
                [] => {
                    let kind = kind.unwrap_or_default();
                    self.at(
                        &[kind],
                        format!("the configuration has no {kind} ingress"),
                        "give an `event:` and the name of its `ingress:`",
                    );
                    None
                }
                _ => {
                    let remedy = format!("add `ingress:` with one of {}", names.join(", "));
                    self.at(&[], "it is not said by which ingress it comes in", remedy);
                    None
                }
            };
        };
        let Some(found) = self.model.ingress(name) else {
            let known: Vec<&str> = self.model.ingress.iter().map(|ingress| &*ingress.name).collect();
            self.unknown(&["ingress"], "ingress", name, &known);
            return None;
        };
        if let Some(kind) = kind.filter(|kind| *kind != found.kind) {
            let what = format!(
                "`{name}` takes messages over {}, and this is one for {kind}",
                found.kind
            );
            let remedy = match found.kind {
                "http" | "kafka" | "mqtt" | "amqp" => format!("write it under `{}:`", found.kind),
                _ => "give it as `event:`".to_owned(),
            };
            self.at(&[kind], what, remedy);
            return None;
        }
        Some(found)
    }

    fn names(&mut self, case: &Case) {
        let model = self.model;
        let destinations: Vec<&str> = model.destinations.iter().map(|d| &**d.name()).collect();
        let routes: Vec<&str> = model.routes.iter().map(|route| &*route.name).collect();
        for name in case.given.keys() {
            if !destinations.contains(&name.as_str()) {
                self.unknown(&["given", name], "destination", name, &destinations);
            }
        }
        let expect = &case.expect;
        for name in expect.routes.iter().flat_map(|names| &names.0) {
            if !routes.contains(&name.as_str()) {
                self.unknown(&["expect", "routes"], "route", name, &routes);
            }
        }
        for (key, names) in [
            ("delivered", &expect.delivered),
            ("order", &expect.order),
            ("dead_letter", &expect.dead_letter),
            ("waits", &expect.waits),
        ] {
            for name in names.iter().flat_map(|names| &names.0) {
                if !destinations.contains(&name.as_str()) {
                    self.unknown(&["expect", key], "destination", name, &destinations);
                }
            }
        }
        for name in expect.to.keys() {
            if !destinations.contains(&name.as_str()) {
                self.unknown(&["expect", "to", name], "destination", name, &destinations);
            }
        }
    }

    fn unknown(&mut self, keys: &[&str], kind: &str, name: &str, known: &[&str]) {
        let remedy = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the configuration has {}", known.join(", ")),
        };
        // In a list, the place of the name itself.
        let node = below(self.node, keys);
        let node = match &node.value {
            Value::List(items) => items
                .iter()
                .find(|item| matches!(&item.value, Value::Text(text) if text == name))
                .unwrap_or(node),
            _ => node,
        };
        let what = format!("there is no {kind} `{}`", name.escape_debug());
        self.findings.push(Finding::error(node, what, remedy));
    }

    fn expectations(&mut self, expect: &Expect) {
        let Expect {
            routes,
            delivered,
            order,
            dead_letter,
            waits,
            refused,
            given_back,
            discarded,
            dropped,
            expired,
            malformed,
            attributes,
            absent,
            data,
            to,
        } = expect;
        let names = [routes, delivered, order, dead_letter, waits];
        let flags = [given_back, discarded, dropped, expired];
        let any = names.iter().any(|names| names.is_some())
            || flags.iter().any(|flag| flag.is_some())
            || refused.is_some()
            || malformed.is_some()
            || data.is_some()
            || !(attributes.is_empty() && absent.0.is_empty() && to.is_empty());
        if !any {
            self.at(
                &["expect"],
                "this case expects nothing, so it cannot fail",
                "add what shall be, such as `routes: [...]` or `delivered: [...]`",
            );
        }
        let both: BTreeMap<&str, ()> = absent.0.iter().map(|name| (name.as_str(), ())).collect();
        for name in attributes.keys().filter(|name| both.contains_key(name.as_str())) {
            let what = format!("`{name}` cannot have a value and be absent");
            self.at(&["expect", "attributes", name], what, "keep one of them");
        }
    }
}
