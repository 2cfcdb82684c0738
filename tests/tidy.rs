//! The rules of the house that no compiler checks: arrows between modules, leftovers, sizes, headers.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Past this a file holds two concepts.
const LINES_MAX: usize = 450;

/// The arrows that may exist between the modules of `src/`, and no others: who, and whom it may know. `cli` holds
/// commands that need no router that runs (check, explain, schema): it reaches for the pure modules itself. The
/// connectors' API (`weft_api`) is open to all but `telemetry` and `metrics::families`, which do not need it.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &[]),
    (
        "cli",
        &[
            "admin",
            "app",
            "config",
            "connectors",
            "metrics",
            "routing",
            "shutdown",
            "telemetry",
            "watch",
        ],
    ),
    (
        "app",
        &[
            "admin",
            "config",
            "connectors",
            "metrics",
            "routing",
            "shutdown",
            "telemetry",
            "topology",
            "watch",
        ],
    ),
    (
        "topology",
        &[
            "config",
            "delivery",
            "lane",
            "mesh",
            "metrics",
            "routing",
            "shutdown",
            "store",
            "supervise",
        ],
    ),
    ("supervise", &["metrics"]),
    ("lane", &["delivery", "metrics", "routing"]),
    ("delivery", &["metrics", "routing", "store"]),
    ("config", &["routing"]),
    ("mesh", &[]),
    ("store", &[]),
    ("routing", &[]),
    ("connectors", &[]),
    ("admin", &[]),
    ("metrics", &[]),
    ("telemetry", &[]),
    ("shutdown", &[]),
    ("watch", &[]),
];

/// What a connector may depend on: the contract, the way to a byte stream, and the wire format of AMQP.
const OPEN_TO_CONNECTORS: &[&str] = &["weft-api", "weft-net", "weft-amqp-wire"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir`, as a path from the root, but for what is built or belongs to git.
fn files(dir: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if ["target", ".git", "node_modules", "__pycache__"]
                .iter()
                .any(|skip| name == *skip)
            {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn rust(dir: &str) -> Vec<PathBuf> {
    files(dir)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// The sources of the binary and of every connector.
fn sources() -> Vec<PathBuf> {
    let in_src = |path: &PathBuf| path.iter().any(|part| part == "src");
    rust("src")
        .into_iter()
        .chain(rust("connectors").into_iter().filter(in_src))
        .chain(rust("store"))
        .collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

/// Code without comments, and without the tests at its end.
fn code(path: &Path) -> String {
    let text = read(path);
    let body = text
        .find("#[cfg(test)]\nmod tests {")
        .map_or(text.as_str(), |end| &text[..end]);
    body.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A test module in a file of its own.
fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
}

/// The names that follow `prefix` in `text` (`crate::` gives modules).
fn names_after<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let name = |rest: &'a str| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    };
    text.match_indices(prefix)
        .map(|(at, _)| name(&text[at + prefix.len()..]))
        .filter(|n| !n.is_empty())
        .collect()
}

/// The module of `src/` that a file belongs to.
fn module(path: &Path) -> String {
    let first = path.iter().nth(1).unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_know_only_whom_the_design_lets_them_know() {
    let mut wrong = Vec::new();
    for path in rust("src").iter().filter(|path| !is_test(path)) {
        let module = module(path);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!(
                "{}: the module {module} has no line in ARROWS",
                path.display()
            ));
            continue;
        };
        let code = code(path);
        let mut known = names_after(&code, "crate::");
        known.remove(module.as_str());
        for name in known.iter().filter(|name| !allowed.contains(name)) {
            wrong.push(format!("{}: {module} -> {name}", path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that DESIGN section 3 does not have:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_module_climbs_to_the_root_by_super() {
    for path in rust("src").iter().filter(|path| !is_test(path)) {
        let own = path
            .file_name()
            .is_some_and(|name| name == "mod.rs" || name == "lib.rs" || name == "main.rs");
        // src/lane/mod.rs is crate::lane: one step up is the root. src/lane/admit.rs is crate::lane::admit.
        let depth = path.iter().count() - 1 - usize::from(own);
        let climb = "super::".repeat(depth);
        assert!(
            depth == 0 || !code(path).contains(&climb),
            "{}: {climb} is crate::; say so",
            path.display()
        );
    }
}

#[test]
fn connectors_stand_in_the_visible_list_and_nowhere_else() {
    for path in rust("src")
        .iter()
        .filter(|path| module(path) != "connectors" && !is_test(path))
    {
        let code = code(path);
        for name in ["kafka", "http", "amqp", "mqtt", "peer", "inproc"] {
            let named = code.contains(&format!("weft_{name}::"));
            assert!(
                !named,
                "{}: weft_{name} belongs into src/connectors.rs",
                path.display()
            );
        }
    }
}

#[test]
fn a_connector_depends_on_what_is_open_to_connectors_and_on_nothing_else_of_ours() {
    let mut seen = 0;
    for manifest in files("connectors")
        .iter()
        .filter(|path| path.ends_with("Cargo.toml"))
    {
        let text = read(manifest);
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("weft-")) {
            let name = line.split(['.', ' ']).next().unwrap_or_default();
            assert!(
                OPEN_TO_CONNECTORS.contains(&name),
                "{}: {line}",
                manifest.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no connector was looked at");
}

#[test]
fn nothing_is_left_over() {
    // Spelt in pieces, or this file would find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("todo", "!("),
        concat!("dbg", "!("),
    ];
    for path in sources().iter().chain(&rust("tests")).chain(&rust("benches")) {
        for (number, line) in read(path).lines().enumerate() {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{}:{}: {word} is left over",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn every_module_opens_by_saying_what_it_owns() {
    for path in sources().iter().filter(|path| !is_test(path)) {
        let text = read(path);
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.len() > "//! ".len() && first.starts_with("//! "),
            "{}: no //! header",
            path.display()
        );
        assert!(
            first != "//! placeholder",
            "{}: its header says nothing",
            path.display()
        );
    }
}

#[test]
fn no_file_holds_two_concepts() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|path| !is_test(path))
        .map(|path| (read(path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, path)| format!("{}: {lines} lines, at most {LINES_MAX}", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_file_names_a_machine() {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let text = [
        "rs", "md", "toml", "yaml", "yml", "sh", "py", "service", "json", "html",
    ];
    for path in files(".")
        .iter()
        .filter(|p| p.extension().is_some_and(|e| text.iter().any(|t| e == *t)))
    {
        for (number, line) in read(path).lines().enumerate() {
            for place in places {
                assert!(
                    !line.contains(place),
                    "{}:{}: names {place}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code() {
    for path in sources().iter().filter(|path| path.ends_with("lib.rs")) {
        assert!(
            read(path).contains("#![forbid(unsafe_code)]"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_command_and_exit_code_is_in_the_docs() {
    let docs = read(Path::new("docs/cli.md"));
    for command in [
        "run", "check", "explain", "test", "send", "status", "init", "schema", "version",
    ] {
        assert!(
            docs.contains(&format!("## weft {command}")),
            "docs/cli.md has no section on weft {command}"
        );
    }
    for code in [0, 1, 64, 69, 70] {
        assert!(
            docs.contains(&format!("| {code} |")),
            "docs/cli.md does not explain the exit code {code}"
        );
    }
}

/// Every clause of the contract has its row, and every test that a row names exists and runs.
#[test]
fn no_clause_of_the_contract_is_without_a_test() {
    let page = read(Path::new("docs/delivery-guarantees.md"));
    let suite: String = files("connectors/conformance/src")
        .iter()
        .map(|path| read(path))
        .collect();
    let mut clauses = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| C")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, clause, promise, tests, _] = cells[..] else {
            panic!("a row has three columns: {row}")
        };
        assert!(!promise.is_empty(), "{clause} promises nothing");
        let named: Vec<&str> = tests
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .filter(|name| !name.is_empty())
            .collect();
        assert!(!named.is_empty(), "{clause} is held by no test");
        for name in named {
            let (place, function) = name.rsplit_once("::").expect("PATH::NAME");
            let text = if place == "conformance" {
                suite.clone()
            } else {
                read(Path::new(place))
            };
            let at = text.find(&format!("fn {function}("));
            let at = at.unwrap_or_else(|| panic!("{clause}: {place} has no test {function}"));
            let before = text[..at].rsplit("\n\n").next().unwrap_or_default();
            assert!(!before.contains("#[ignore"), "{clause}: {function} does not run");
        }
        clauses.insert(clause.to_owned());
    }
    let all: BTreeSet<String> = (1..=35).map(|number| format!("C{number}")).collect();
    assert_eq!(clauses, all);
}
