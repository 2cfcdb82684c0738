#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use weft_api::connector::{EgressBuilder, IngressBuilder, RawMessage};
use weft_api::egress::Egress;
use weft_api::event::Event;
use weft_api::ingress::Ingress;

use super::{Change, Entry, compare};
use crate::app::spec;
use crate::config::{self, Environment, Model, Source};
use crate::connectors;
use crate::metrics::Metrics;
use crate::topology::Topology;
use crate::topology::spec::{DestinationSpec, LogSpec, Spec, WhenFull};

/// The file from which every case departs.
const BASE: &str = r#"
node: { name: n1, cluster: paris }
store: { path: /s, max_bytes: 64MiB }
ingress:
  web: { http: { listen: "127.0.0.1:18080" }, unmatched: reject }
  app: { http: { listen: "127.0.0.1:18081" } }
destinations:
  crm: { http: { url: "http://crm/" } }
  erp: { http: { url: "http://erp/" }, retry: { attempts: 3 } }
  both: { multicast: [crm, erp] }
  dead: { log: { to: stderr } }
routes:
  one: { from: [web], to: both, dead_letter: dead }
  two: { to: crm }
"#;

struct Nothing;

impl Environment for Nothing {
    fn var(&self, _: &str) -> Option<String> {
        Some("s3cr3t".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there is none".to_owned())
    }
}

fn model(text: &str) -> Model {
    let source = Source {
        name: "a.yaml".into(),
        text: text.to_owned(),
    };
    config::from_sources(&[source], connectors::ALL, &Nothing).unwrap_or_else(|found| panic!("{found:?}"))
}

/// Notes who is built, and fails: nothing is opened.
struct Noted {
    name: String,
    built: Arc<Mutex<BTreeSet<String>>>,
}

impl Noted {
    fn note(&self) -> String {
        self.built.lock().unwrap().insert(self.name.clone());
        "not in a test".to_owned()
    }
}

impl IngressBuilder for Noted {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Err(self.note())
    }

    fn address(&self) -> String {
        self.name.clone()
    }

    fn explain(&self, _: &RawMessage) -> Result<Event, String> {
        Err("not in a test".to_owned())
    }
}

impl EgressBuilder for Noted {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Err(self.note())
    }

    fn address(&self) -> String {
        self.name.clone()
    }
}

fn noted(model: &Model, built: &Arc<Mutex<BTreeSet<String>>>) -> Spec {
    let mut spec = spec::of(model);
    // Nothing is opened here: not even a store.
    spec.store = None;
    let note = |name: &str| {
        Arc::new(Noted {
            name: name.to_owned(),
            built: Arc::clone(built),
        })
    };
    for ingress in &mut spec.ingresses {
        ingress.builder = note(&ingress.name);
    }
    for destination in &mut spec.destinations {
        match destination {
            DestinationSpec::Endpoint(endpoint) => {
                endpoint.builder = note(&endpoint.name);
                endpoint.store = None;
            }
            DestinationSpec::Group { store, .. } => *store = None,
        }
    }
    spec
}

fn names(entries: &[Entry], which: impl Fn(&Entry) -> bool) -> Vec<String> {
    let mut names: Vec<String> = entries
        .iter()
        .filter(|entry| which(entry))
        .map(|entry| entry.name.to_string())
        .collect();
    names.sort();
    names
}

/// Old and new texts of a change, and what differs: ingresses, destinations, groups, routes.
const CHANGES: &[(&str, &str, [&str; 4])] = &[
    ("", "", ["", "", "", ""]),
    // Order alone, of routes and of keys.
    (
        "  one: { from: [web], to: both, dead_letter: dead }\n  two: { to: crm }\n",
        "  two: { to: crm }\n  one: { dead_letter: dead, to: both, from: [web] }\n",
        ["", "", "", ""],
    ),
    ("18080\" }", "18080\", path: /x }", ["~web!", "", "", ""]),
    // What admission reads reopens nothing.
    (
        "unmatched: reject }",
        "unmatched: discard }",
        ["~web", "", "", ""],
    ),
    ("routes:", "unmatched: crm\nroutes:", ["~app", "", "", ""]),
    ("http://crm/", "http://crm2/", ["", "~crm!", "", ""]),
    ("attempts: 3", "attempts: 4", ["", "~erp!", "", ""]),
    // The same as the default, and still written: the reload makes a client, and so it is told.
    (
        "crm: { http: { url: \"http://crm/\" } }",
        "crm: { http: { url: \"http://crm/\" }, lossy: false }",
        ["", "~crm!", "", ""],
    ),
    (
        "multicast: [crm, erp]",
        "multicast: [erp, crm]",
        ["", "", "~both", ""],
    ),
    (
        "two: { to: crm }",
        "two: { to: [crm, dead] }",
        ["", "", "", "~two"],
    ),
    (
        "two: { to: crm }",
        "two: { to: crm, enabled: false }",
        ["", "", "", "-two"],
    ),
    (
        "  two: { to: crm }",
        "  two: { to: crm }\n  three: { to: erp }",
        ["", "", "", "+three"],
    ),
    ("  dead: {", "  more: { log: }\n  dead: {", ["", "+more", "", ""]),
    (
        "  app: { http: { listen: \"127.0.0.1:18081\" } }\n",
        "",
        ["-app", "", "", ""],
    ),
    // A destination becomes a group.
    (
        "  erp: { http: { url: \"http://erp/\" }, retry: { attempts: 3 } }",
        "  erp: { fallback: [crm] }",
        ["", "-erp", "+erp", ""],
    ),
    (
        "  both: { multicast: [crm, erp] }",
        "  both: { log: }",
        ["", "+both", "-both", ""],
    ),
    // The name of the node is part of every client.
    ("name: n1", "name: n2", ["~app!~web!", "~crm!~dead!~erp!", "", ""]),
    // A log is no part of a client.
    (
        "url: \"http://crm/\" }",
        "url: \"http://crm/\" }, store: true",
        ["", "~crm", "", ""],
    ),
    (
        "attempts: 3 }",
        "attempts: 4 }, store: { max_age: 1h }",
        ["", "~erp!", "", ""],
    ),
    (
        "both: { multicast: [crm, erp] }",
        "both: { fallback: [crm, erp], store: {} }",
        ["", "", "~both", ""],
    ),
    // Secrets are others, too.
    (
        "url: \"http://erp/\"",
        "url: \"http://erp/\", headers: { authorization: \"${TOKEN}\" }",
        ["", "~erp!", "", ""],
    ),
];

fn told(entries: &[Entry]) -> String {
    let mut words: Vec<String> = entries
        .iter()
        .map(|entry| {
            let sign = match entry.change {
                Change::Added => '+',
                Change::Changed => '~',
                Change::Removed => '-',
            };
            format!("{sign}{}{}", entry.name, if entry.anew { "!" } else { "" })
        })
        .collect();
    words.sort();
    words.concat()
}

#[tokio::test(start_paused = true)]
async fn a_comparison_says_what_the_reload_does() {
    for (from, to, expected) in CHANGES {
        let text = BASE.replacen(from, to, 1);
        assert!(from.is_empty() || text != BASE, "{from} is in the file");
        let (old, new) = (model(BASE), model(&text));
        let comparison = compare(&old, &new);
        assert_eq!(
            [
                told(&comparison.ingresses),
                told(&comparison.destinations),
                told(&comparison.groups),
                told(&comparison.routes),
            ],
            *expected,
            "{from} -> {to}"
        );
        assert_eq!(
            comparison.is_same(),
            expected.concat().is_empty(),
            "{from} -> {to}"
        );

        // And the topology itself, asked and watched.
        let built = Arc::new(Mutex::new(BTreeSet::new()));
        let metrics = Metrics::new();
        let mut topology = Topology::start(noted(&old, &Arc::default()), metrics, 1).unwrap();
        let report = topology
            .reload(noted(&new, &built), &BTreeMap::new())
            .await
            .unwrap();
        assert_eq!(report, comparison.touched, "{from} -> {to}");
        assert_eq!(
            names(&comparison.ingresses, |entry| entry.anew),
            report.ingresses.changed
        );
        assert_eq!(
            names(&comparison.ingresses, |entry| entry.change == Change::Removed),
            report.ingresses.removed
        );
        assert_eq!(
            names(&comparison.destinations, |entry| entry.anew),
            report.destinations.changed
        );
        assert_eq!(
            names(&comparison.destinations, |entry| entry.change == Change::Added),
            report.destinations.added
        );
        // Supervisors wait between builds that fail; all have built at least once within this time, which is paused.
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        let made = |entry: &Entry| entry.anew || entry.change == Change::Added;
        let mut expected_built = names(&comparison.ingresses, made);
        expected_built.extend(names(&comparison.destinations, made));
        expected_built.sort();
        let built: Vec<String> = built.lock().unwrap().iter().cloned().collect();
        assert_eq!(built, expected_built, "who is made anew: {from} -> {to}");
        topology.stop().await;
    }
}

#[test]
fn what_no_reload_can_change_is_told_with_the_words_of_the_router() {
    let cases = [
        ("", 0),
        ("observe: { listen: \"127.0.0.1:1\" }\n", 1),
        ("limits: { memory: 128MiB }\nadmin: { listen: off }\n", 2),
        ("limits: { event: 128KiB }\n", 0),
    ];
    for (more, refused) in cases {
        let new = model(&format!("{BASE}{more}"));
        assert_eq!(compare(&model(BASE), &new).refused.len(), refused, "{more}");
    }
}

#[test]
fn a_store_stays_what_it_was_until_a_restart_and_its_logs_do_not() {
    let line = "store: { path: /s, max_bytes: 64MiB }\n";
    let cases = [
        (
            "store: { path: /s, max_bytes: 64MiB, sync: always, dead_letters: { max_age: 1h } }\n",
            &[][..],
        ),
        (
            "store: { path: /t, max_bytes: 64MiB }\n",
            &["store.path takes effect at a restart only"],
        ),
        (
            "store: { path: /s, max_bytes: 64MiB, sync: { interval: 1s } }\n",
            &["store.max_bytes, keep_free and sync take effect at a restart only"],
        ),
        (
            "store: { path: /t }\n",
            &[
                "store.path takes effect at a restart only",
                "store.max_bytes, keep_free and sync take effect at a restart only",
            ],
        ),
        ("", &["a store is closed at a stop only"]),
    ];
    for (other, refused) in cases {
        let new = model(&BASE.replace(line, other));
        let comparison = compare(&model(BASE), &new);
        assert_eq!(comparison.refused, refused, "{other}");
        assert!(!comparison.router.is_empty(), "{other}");
        assert!(comparison.touched == Default::default(), "{other}");
    }
    let opened = compare(&model(&BASE.replace(line, "")), &model(BASE));
    assert_eq!(opened.refused, ["a store is opened at a start only"]);
}

#[test]
fn what_is_built_has_the_stores_bounds_where_a_log_says_nothing() {
    let text = BASE
        .replace(
            "url: \"http://crm/\" }",
            "url: \"http://crm/\" }, store: { max_age: 1h, when_full: move }",
        )
        .replace(
            "multicast: [crm, erp]",
            "anycast: [crm, erp], store: { max_bytes: 3MiB, retain: 1d }",
        );
    let spec = spec::of(&model(&text));
    let store = spec.store.as_ref().unwrap();
    assert_eq!((store.path.to_str(), store.max_bytes), (Some("/s"), 64 << 20));
    assert_eq!(
        (store.keep_free, store.sync),
        (256 << 20, weft_store::Sync::Always)
    );
    assert_eq!(
        (store.dead_letters.max_bytes, store.dead_letters.max_age),
        (1 << 30, None)
    );
    let log = |name: &str| {
        let found = spec
            .destinations
            .iter()
            .find_map(|destination| match destination {
                DestinationSpec::Endpoint(endpoint) if *endpoint.name == *name => {
                    Some(endpoint.store.clone())
                }
                DestinationSpec::Group {
                    name: group, store, ..
                } if **group == *name => Some(store.clone()),
                _ => None,
            });
        found.unwrap()
    };
    let hours = |hours: u64| Some(std::time::Duration::from_secs(hours * 3600));
    let crm = LogSpec {
        max_bytes: 64 << 20,
        max_age: hours(1),
        retain: None,
        when_full: WhenFull::Move,
    };
    let both = LogSpec {
        max_bytes: 3 << 20,
        max_age: None,
        retain: hours(24),
        when_full: WhenFull::Block,
    };
    assert_eq!(
        (log("crm"), log("both"), log("erp")),
        (Some(crm), Some(both), None)
    );
}

#[test]
fn a_destination_that_goes_names_its_routes_and_their_dead_letters() {
    let new = BASE
        .replace("  crm: { http: { url: \"http://crm/\" } }\n", "")
        .replace("[crm, erp]", "[erp]")
        .replace("to: crm", "to: erp");
    let comparison = compare(
        &model(BASE),
        &model(&(new.clone() + "removed: { crm: dead_letter, nobody: purge }\n")),
    );
    let gone = comparison
        .destinations
        .iter()
        .find(|entry| entry.change == Change::Removed)
        .unwrap();
    let letters: Vec<(&str, Option<&str>)> = gone
        .letters
        .iter()
        .map(|(route, letter)| (&**route, letter.as_deref()))
        .collect();
    assert_eq!(letters, [("one", Some("dead")), ("two", None)]);
    assert_eq!(gone.removed, Some(config::Removed::DeadLetter));
    assert_eq!(comparison.needless, ["nobody".into()]);
    let silent = compare(&model(BASE), &model(&new));
    assert!(silent.destinations.iter().all(|entry| entry.removed.is_none()));
}
