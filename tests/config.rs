//! The configuration: what is accepted, what is told about what is not, what is printed.
//!
//! Each `tests/config/NAME.yaml` (or directory NAME) has its findings beside it in NAME.expected, word for word.
//! `WEFT_REGENERATE=1 cargo test --test config` writes them anew; look at the difference before it is committed.
#![allow(clippy::unwrap_used)]

#[path = "config/fake.rs"]
mod fake;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use weft::config::{self, Destination, Environment, Model, Plan, Source, Unmatched};
use weft::routing::plan::{KeyRule, Policy};
use weft_api::config::{Finding, Severity};

struct Fixed;

impl Environment for Fixed {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "PASSWORD" => Some("hunter2".into()),
            "PORT" => Some("8081".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        if ["/run/secrets/kafka", "/run/secrets/artemis"].contains(&path) {
            Ok("hunter2\n".into())
        } else {
            Err("there is no such file".into())
        }
    }
}

fn load(text: &str) -> Result<Model, Vec<Finding>> {
    let source = Source {
        name: Arc::from("t.yaml"),
        text: text.to_owned(),
    };
    config::from_sources(&[source], fake::ALL, &Fixed)
}

fn good(text: &str) -> Model {
    load(text).unwrap_or_else(|findings| panic!("{}", told(&findings)))
}

fn told(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// The files of a case under names that do not depend on where the test runs.
fn sources(case: &Path) -> Vec<Source> {
    let files = config::source::read(&[case.to_owned()]).unwrap();
    let short = |name: &str| Arc::from(Path::new(name).strip_prefix(folder()).unwrap().to_str().unwrap());
    files
        .into_iter()
        .map(|source| Source {
            name: short(&source.name),
            text: source.text,
        })
        .collect()
}

#[test]
fn every_finding_is_told_as_it_was_written_down() {
    let regenerate = std::env::var_os("WEFT_REGENERATE").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    assert!(cases.len() > 30, "the cases are gone");
    let mut wrong = String::new();
    for case in cases {
        let findings = match config::from_sources(&sources(&case), fake::ALL, &Fixed) {
            Ok(model) => model.warnings,
            Err(findings) => findings,
        };
        for finding in &findings {
            assert!(
                finding.span.line >= 1 && finding.span.column >= 1,
                "{}: {finding}",
                case.display()
            );
        }
        let said = told(&findings);
        let golden = case.with_extension("expected");
        if regenerate {
            fs::write(&golden, &said).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push_str(&format!("{}:\n{said}\n", case.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these differ from their .expected files:\n{wrong}"
    );
}

#[test]
fn ten_mistakes_are_ten_findings_with_place_and_remedy() {
    let findings = config::from_sources(&sources(&folder().join("ten.yaml")), fake::ALL, &Fixed)
        .err()
        .unwrap();
    let errors: Vec<&Finding> = findings
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .collect();
    assert_eq!(errors.len(), 10, "{}", told(&findings));
    for (error, line) in errors.iter().zip([3, 5, 9, 12, 15, 16, 20, 23, 25, 28]) {
        assert_eq!(error.span.line, line, "{error}");
        assert!(error.span.column > 1 || line == 28, "{error}");
        assert!(
            !error.remedy.is_empty() || error.what.starts_with("expected"),
            "{error}"
        );
    }
}

#[test]
fn nothing_out_of_the_environment_is_ever_told() {
    let text = "ingress: { a: { http: { listen: '${PASSWORD}' } } }\n\
                destinations: { k: { kafka: { brokers: '${PASSWORD}', topic: t }, retry: { attempts: '${PASSWORD}' } } }\n\
                routes: { r: { to: k, max_age: '${PASSWORD}', dead_letter: k, filters: [{ sql: '${PASSWORD} +' }] } }";
    let findings = load(text).err().unwrap();
    assert!(findings.len() >= 4, "{}", told(&findings));
    assert!(!told(&findings).contains("hunter2"), "{}", told(&findings));
}

const FULL: &str = r#"
node: { name: n1, cluster: paris }
observe: { listen: "0.0.0.0:9000" }
limits: { memory: 512MiB, event: 2MiB }
store: { path: "/var/lib/${file:/run/secrets/artemis}", sync: { interval: 200ms }, dead_letters: { max_age: 30d } }
x-note: { anything: [1, 2] }
connections:
  main:
    kafka: { brokers: ["a:9092"] }
    auth: { user: weft, password: "${file:/run/secrets/kafka}" }
defaults:
  ingress: { dead_letter: dlt }
  destination: { retry: { attempts: 3, max: 1m } }
  route: { dead_letter: dlt, max_age: 24h }
ingress:
  web: { http: { listen: "127.0.0.1:${PORT}", path: /e }, unmatched: reject, window: { events: 10 } }
  jobs: { kafka: { connection: main, topics: [jobs], group: g, brokers: ["b:9092"] }, on_rejected: drop }
destinations:
  crm: { http: { url: "http://crm", headers: { x-tenant: a } }, retry: { attempts: 20 }, order_by: subject }
  erp: { http: { url: "http://erp" }, store: true }
  dlt: { kafka: { connection: main, topic: dead } }
  out: { log: }
  workers: { anycast: [crm, { to: erp, weight: 2 }], policy: hash, order_by: key, member_down: wait }
  billing: { fallback: [workers, out], on: [timeout], store: { max_bytes: 2GiB, when_full: move } }
routes:
  hot: { from: [web], filters: [{ prefix: { type: com. } }, { sql: "celsius > 80" }], to: billing, dead_letter: local, add: { a: "{subject | else none}", b: 5 } }
  all: { to: [crm, { anycast: [erp, out] }], labels: { team: x }, dead_letter: out }
  dead: { to: dlt }
  off: { to: out, enabled: false }
unmatched: discard
removed: { old: purge }
"#;

#[test]
fn a_whole_file_becomes_a_model() {
    // `all` dead-letters to `out`, one of its own members: that is a mistake of its own, tested elsewhere.
    let model = good(&FULL.replace("dead_letter: out", "dead_letter: dlt"));
    let web = model.ingress("web").unwrap();
    assert_eq!(web.builder.address(), "127.0.0.1:8081/e");
    assert_eq!(
        (web.unmatched.clone(), web.window.unwrap().events),
        (Unmatched::Reject, 10)
    );
    assert_eq!(web.dead_letter.as_deref(), Some("dlt"));
    let jobs = model.ingress("jobs").unwrap();
    assert_eq!(
        jobs.builder.address(),
        "b:9092 jobsg weft (7)",
        "the section's own key wins over the connection's"
    );
    let Some(Destination::Endpoint(crm)) = model.destination("crm") else {
        panic!("crm is an endpoint")
    };
    assert_eq!(crm.retry.attempts.get(), 20);
    assert_eq!(
        crm.retry.max.get().as_secs(),
        30,
        "a key replaces the whole default, not parts of it"
    );
    assert_eq!(crm.order_by, KeyRule::Attribute("subject".into()));
    let Some(Destination::Endpoint(erp)) = model.destination("erp") else {
        panic!("erp is an endpoint")
    };
    assert_eq!((erp.retry.attempts.get(), erp.retry.max.get().as_secs()), (3, 60));
    let Some(Destination::Group(workers)) = model.destination("workers") else {
        panic!("workers is a group")
    };
    let Plan::Anycast(workers) = &workers.plan else {
        panic!("workers is an anycast")
    };
    assert_eq!(
        (workers.policy, workers.wait, workers.members[1].weight),
        (Policy::Hash, true, 2)
    );
    let routes: Vec<&str> = model.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(routes, ["hot", "all", "dead"]);
    assert_eq!(model.routes[0].max_age.unwrap().as_secs(), 24 * 3600);
    assert_eq!(
        model.routes[2].dead_letter, None,
        "a default dead letter is no use to a route that leads there"
    );
    assert_eq!(model.removed("old"), Some(config::Removed::Purge));
    assert_eq!(model.routes[0].dead_letter.as_deref(), Some("local"));
    let store = model.store.as_ref().unwrap();
    assert_eq!(
        (store.path.as_str(), store.max_bytes.get()),
        ("/var/lib/hunter2", 8 << 30)
    );
    assert_eq!(erp.store, Some(config::keys::LogKeys::default()));
    assert_eq!(crm.store, None);
}

fn full() -> String {
    FULL.replace("dead_letter: out", "dead_letter: dlt")
}

#[test]
fn what_is_printed_reads_back_as_the_same_and_shows_no_secret() {
    let model = good(&full());
    let printed = config::print(&model);
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(
        printed.contains("***") && !printed.contains("connection"),
        "{printed}"
    );
    assert!(
        printed.contains("linger: 0s") && printed.contains("x-tenant: a"),
        "{printed}"
    );
    // A masked address is none; a masked password still is one.
    let model = good(&full().replace("${PORT}", "8081"));
    let printed = config::print(&model);
    let again = good(&printed);
    assert_eq!(config::print(&again), printed);
    assert_eq!(again.ingress.len(), model.ingress.len());
    let (Some(Destination::Endpoint(a)), Some(Destination::Endpoint(b))) =
        (model.destination("erp"), again.destination("erp"))
    else {
        panic!("erp is an endpoint")
    };
    assert_eq!((&a.retry, &a.queue, &a.breaker), (&b.retry, &b.queue, &b.breaker));
}

#[test]
fn pace_and_repetitions_are_read_and_printed_as_they_are_in_effect() {
    let file = |keys: &str| {
        good(&format!(
            "ingress: {{ web: {{ http: {{ listen: '127.0.0.1:80' }} }} }}\n\
             destinations: {{ a: {{ http: {{ url: 'http://a' }}, {keys} }} }}\nroutes: {{ r: {{ to: a }} }}"
        ))
    };
    let of = |model: &Model| match model.destination("a") {
        Some(Destination::Endpoint(a)) => (a.retry.budget, a.rate, a.dedupe.clone()),
        _ => panic!("a is an endpoint"),
    };
    for (keys, printed) in [
        ("queue: {}", "share: 0.2\n        floor: 10/s"),
        ("retry: { budget: off }", "budget: off"),
        ("retry: { budget: { share: 0.5, floor: 3/h } }", "floor: 3/h"),
        ("rate: 200/s", "rate: 200/s"),
        (
            "rate: { events: 5, per: 2s, burst: 3 }",
            "events: 5\n      per: 2s\n      burst: 3",
        ),
        ("dedupe: {}", "max_entries: 1000000"),
        ("dedupe: { by: [tenant] }", "- tenant\n      window: 10m"),
    ] {
        let model = file(keys);
        let text = config::print(&model);
        assert!(text.contains(printed), "{keys}:\n{text}");
        assert_eq!(of(&good(&text)), of(&model), "{keys}:\n{text}");
    }
    let (budget, rate, dedupe) = of(&file("queue: {}"));
    assert_eq!(
        (budget, rate, dedupe),
        (config::keys::Budget::default(), None, None)
    );
}

#[test]
fn a_store_is_read_and_printed_as_it_is_in_effect() {
    let file = |top: &str, keys: &str| {
        good(&format!(
            "store: {{ path: /s{top} }}\ningress: {{ web: {{ http: {{ listen: '127.0.0.1:80' }}, dead_letter: local }} }}\n\
             destinations: {{ a: {{ http: {{ url: 'http://a' }} }}, b: {{ log: {keys} }}, c: {{ anycast: [a, b] {keys} }} }}\n\
             routes: {{ r: {{ to: c }} }}"
        ))
    };
    let of = |model: &Model| {
        let logs = ["b", "c"].map(|name| match model.destination(name) {
            Some(Destination::Endpoint(endpoint)) => endpoint.store.clone(),
            Some(Destination::Group(group)) => group.store.clone(),
            None => panic!("{name} is a destination"),
        });
        let store = model.store.clone().unwrap();
        (logs.map(|log| log.map(|log| log.within(&store))), store)
    };
    for (top, keys, printed) in [
        ("", ", store: true", "max_bytes: 8GiB\n      when_full: block\n"),
        ("", ", store: ", "max_bytes: 8GiB\n      when_full: block\n"),
        (
            "",
            ", store: \"${TRUE:-true}\"",
            "max_bytes: 8GiB\n      when_full: block\n",
        ),
        (
            ", max_bytes: 32MiB",
            ", store: {}",
            "max_bytes: 32MiB\n      when_full: block\n",
        ),
        (
            "",
            ", store: { max_age: 3d, max_bytes: 4MiB }",
            "max_age: 3d\n      max_bytes: 4MiB\n      when_full: block\n",
        ),
        (
            "",
            ", store: { when_full: move, retain: 24h }",
            "when_full: move\n      retain: 24h\n      max_bytes: 8GiB\n",
        ),
        (
            ", sync: { interval: 200ms }",
            ", store: {}",
            "sync:\n    interval: 200ms\n",
        ),
        (
            ", dead_letters: { max_age: 30d }",
            ", store: {}",
            "max_age: 30d\n    max_bytes: 1GiB\n",
        ),
        (
            "",
            "",
            "path: /s\n  max_bytes: 8GiB\n  keep_free: 256MiB\n  sync: always\n  dead_letters:\n    max_bytes: 1GiB\n",
        ),
    ] {
        let model = file(top, keys);
        let text = config::print(&model);
        assert!(text.contains(printed), "{top}{keys}:\n{text}");
        let again = good(&text);
        assert_eq!(of(&again), of(&model), "{top}{keys}:\n{text}");
        assert_eq!(config::print(&again), text, "{top}{keys}");
    }
    let without = file("", ", store: false");
    let (logs, _) = of(&without);
    assert_eq!(logs, [None, None]);
    assert!(
        without
            .destination("b")
            .unwrap()
            .effective()
            .get("store")
            .is_none()
    );
}

#[test]
fn a_default_store_passes_by_what_is_lossy_and_what_says_no() {
    let model = good(
        "store: { path: /s }\ningress: { web: { http: { listen: '127.0.0.1:80' } } }\n\
         defaults: { destination: { store: { max_age: 1h } } }\n\
         destinations: { a: { log: }, b: { log: , lossy: true }, c: { log: , store: false }, d: { fallback: [a, b] } }\n\
         routes: { r: { to: [c, d] } }",
    );
    let kept = |name: &str| match model.destination(name) {
        Some(Destination::Endpoint(endpoint)) => endpoint.store.is_some(),
        Some(Destination::Group(group)) => group.store.is_some(),
        None => panic!("{name} is a destination"),
    };
    assert_eq!(["a", "b", "c", "d"].map(kept), [true, false, false, false]);
}

/// What writes into a log in Kafka and what reads it, each with its own keys, reached by the same connection.
#[test]
fn a_store_in_kafka_is_read_and_printed_as_it_is_in_effect() {
    let model = good(
        "connections: { main: { kafka: { brokers: ['k:9092'] }, auth: { user: u, password: '${PASSWORD}' } } }\n\
         ingress: { web: { http: { listen: '127.0.0.1:80' } } }\n\
         destinations:\n\
         \x20 a: { http: { url: 'http://a' }, store: { kafka: { connection: main, topic: t.a }, max_age: 72h } }\n\
         \x20 b: { log: , store: { kafka: { brokers: ['b:1'], topic: t.b, group: mine } } }\n\
         \x20 c: { anycast: [a, b], store: { kafka: { connection: main, topic: t.c } } }\n\
         routes: { r: { to: c } }",
    );
    let of = |model: &Model| -> Vec<_> {
        let logs = model.shared_logs().map(|log| {
            let age = log.max_age.map(|age| age.get().as_secs());
            (
                log.name.to_string(),
                log.egress.address(),
                log.ingress.address(),
                age,
            )
        });
        logs.collect()
    };
    let expected = |name: &str, out: &str, reads: &str, age| (name.into(), out.into(), reads.into(), age);
    assert_eq!(
        of(&model),
        [
            expected(
                "a.log",
                "k:9092 t.a u (7)",
                "k:9092 t.aweft-store-a u (7)",
                Some(72 * 3600)
            ),
            expected("b.log", "b:1 t.b ", "b:1 t.bmine ", None),
            expected("c.log", "k:9092 t.c u (7)", "k:9092 t.cweft-store-c u (7)", None),
        ]
    );
    let here = model.destinations.iter().filter(|destination| match destination {
        Destination::Endpoint(endpoint) => endpoint.store.is_some(),
        Destination::Group(group) => group.store.is_some(),
    });
    assert_eq!(
        (here.count(), model.warnings.len()),
        (0, 0),
        "{}",
        told(&model.warnings)
    );
    let text = config::print(&model);
    assert!(
        text.contains("group: weft-store-a\n") && !text.contains("hunter2"),
        "{text}"
    );
    let again = good(&text);
    assert_eq!(config::print(&again), text);
    assert_eq!(again.shared_logs().count(), 3);
    let schema = config::schema::schema(fake::ALL);
    let shared = &schema["$defs"]["SharedStore"];
    assert_eq!(shared["required"], serde_json::json!(["topic"]));
    let mut keys: Vec<_> = shared["properties"].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["auth", "brokers", "connection", "group", "topic"]);
}

#[test]
fn the_schema_gives_a_store_to_destinations_and_named_groups_and_to_no_multicast() {
    let schema = config::schema::schema(fake::ALL);
    let (top, definitions) = (&schema["properties"], &schema["$defs"]);
    assert_eq!(top["store"]["$ref"], "#/$defs/StoreKeys");
    assert_eq!(definitions["StoreKeys"]["required"], serde_json::json!(["path"]));
    let destination = &top["destinations"]["additionalProperties"]["anyOf"];
    assert!(destination[0]["properties"]["store"].is_object());
    assert_eq!(destination[1]["$ref"], "#/$defs/NamedGroup");
    let with_store = |name: &str| {
        let kinds = definitions[name]["anyOf"].as_array().unwrap().iter();
        let stores = kinds.map(|kind| kind["properties"]["store"].is_object());
        stores.collect::<Vec<bool>>()
    };
    assert_eq!(with_store("NamedGroup"), [true, true, false]);
    assert_eq!(with_store("Group"), [false, false, false]);
    let words = definitions["Keep"]["anyOf"].as_array().unwrap();
    assert_eq!(words[0]["type"], serde_json::json!(["boolean", "null"]));
    assert_eq!(words[1]["$ref"], "#/$defs/LogKeys");
}

#[test]
fn a_reload_sees_what_changed_and_only_that() {
    let before = good(&full());
    let moved = good(&format!(
        "# a comment\n{}",
        full().replace("attempts: 20", "attempts: 21")
    ));
    for (old, new) in before.ingress.iter().zip(&moved.ingress) {
        assert!(old.same(new), "{} did not change", old.name);
    }
    let changed: Vec<&str> = before
        .destinations
        .iter()
        .zip(&moved.destinations)
        .filter(|(old, new)| !old.same(new))
        .map(|(old, _)| &**old.name())
        .collect();
    assert_eq!(changed, ["crm"]);
    let connected = good(&full().replace("a:9092", "c:9092"));
    assert!(
        !before
            .destination("dlt")
            .unwrap()
            .same(connected.destination("dlt").unwrap())
    );
    assert!(
        before
            .ingress("jobs")
            .unwrap()
            .same(connected.ingress("jobs").unwrap()),
        "it has brokers of its own"
    );
    let strict = good(&full().replace("\nunmatched: discard", "\nunmatched: reject"));
    assert!(
        !before
            .ingress("jobs")
            .unwrap()
            .same(strict.ingress("jobs").unwrap())
    );
}

#[test]
fn nesting_and_aliases_are_bounded() {
    let deep = format!("ingress: {}", "[".repeat(200));
    assert!(told(&load(&deep).err().unwrap()).contains("deeper than 64 levels"));
    let mut laughs = "x-a: &a [l, l, l, l, l, l, l, l, l, l]\n".to_owned();
    for (name, of) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let many = vec![format!("*{of}"); 10].join(", ");
        laughs.push_str(&format!("x-{name}: &{name} [{many}]\n"));
    }
    let findings = load(&laughs).err().unwrap();
    assert!(
        told(&findings).contains("once its aliases are put in"),
        "{}",
        told(&findings)
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_finding_of_its_own() {
    let paths = [folder().join("nowhere.yaml"), folder().join("../../docs")];
    let findings = config::load(&paths, fake::ALL, &Fixed).err().unwrap();
    assert_eq!(findings.len(), 2, "{}", told(&findings));
    assert!(
        findings[0].what.ends_with("there is no such file"),
        "{}",
        findings[0]
    );
    assert!(
        findings[1].what.ends_with("the directory has no *.yaml file"),
        "{}",
        findings[1]
    );
    assert!(findings.iter().all(|finding| !finding.remedy.is_empty()));
}

#[test]
fn long_keys_on_many_levels_are_bounded() {
    let long = format!("? {}\n: 1\n", "k".repeat(500_000));
    assert!(told(&load(&long).err().unwrap()).contains("a key has at most 1024 bytes"));
    let (open, close) = (format!("{{{}: ", "k".repeat(1000)).repeat(60), "}".repeat(60));
    let text = format!("x-a: {open}[{}]{close}", "1, ".repeat(2000));
    assert!(told(&load(&text).err().unwrap()).contains("keys are too long"));
}

#[test]
fn a_file_with_thousands_of_routes_loads_in_one_pass() {
    let mut text =
        "defaults: { route: { dead_letter: d0 } }\ningress: { a: { http: { listen: '127.0.0.1:1' } } }\n"
            .to_owned();
    text.push_str("destinations:\n");
    (0..3000).for_each(|n| text.push_str(&format!("  d{n}: {{ log: }}\n")));
    text.push_str("routes:\n");
    (0..3000).for_each(|n| {
        text.push_str(&format!(
            "  r{n}: {{ to: d{n}, filters: [{{ exact: {{ type: t{n} }} }}] }}\n"
        ))
    });
    let model = good(&text);
    assert_eq!((model.routes.len(), model.destinations.len()), (3000, 3000));
    // Its default dead letter is its own destination.
    assert_eq!(
        (
            model.routes[0].dead_letter.as_deref(),
            model.routes[1].dead_letter.as_deref()
        ),
        (None, Some("d0"))
    );
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    fn walk(schema: &serde_json::Value, definitions: &serde_json::Value, seen: &mut usize) {
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(path) = object.get("$ref").and_then(|path| path.as_str()) {
                    let name = path.strip_prefix("#/$defs/").unwrap();
                    assert!(definitions.get(name).is_some(), "{path}");
                    *seen += 1;
                }
                object.values().for_each(|below| walk(below, definitions, seen));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|below| walk(below, definitions, seen)),
            _ => {}
        }
    }
    let schema = config::schema::schema(fake::ALL);
    let mut seen = 0;
    walk(&schema, &schema["$defs"], &mut seen);
    assert!(seen > 10);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let section = &schema["properties"]["ingress"]["additionalProperties"]["properties"]["kafka"];
    assert_eq!(
        section["required"],
        serde_json::json!(["topics", "group"]),
        "a connection may give the brokers"
    );
}

#[test]
#[cfg(all(feature = "http", feature = "inproc"))]
fn the_example_runs_as_it_is_and_has_nothing_to_warn_of() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes.example.yaml");
    let model = config::load(&[path], weft::connectors::ALL, &config::Process)
        .unwrap_or_else(|f| panic!("{}", told(&f)));
    assert!(model.warnings.is_empty(), "{}", told(&model.warnings));
    assert_eq!((model.ingress.len(), model.routes.len()), (2, 3));
}

/// The parts of the example that need a broker are comments; they have to be right, too.
#[test]
#[cfg(all(
    feature = "amqp",
    feature = "http",
    feature = "inproc",
    feature = "kafka",
    feature = "mqtt"
))]
fn the_example_is_right_where_it_is_commented_out() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("routes.example.yaml")).unwrap();
    let (head, body) = text.split_once("\nnode:").unwrap();
    assert!(head.lines().all(|line| line.starts_with('#') || line.is_empty()));
    let uncommented: String = format!("node:{body}")
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) => format!("{}{rest}\n", &line[..line.len() - line.trim_start().len()]),
            None => format!("{line}\n"),
        })
        .collect();
    let source = Source {
        name: Arc::from("example"),
        text: uncommented,
    };
    let model = config::from_sources(&[source], weft::connectors::ALL, &Fixed)
        .unwrap_or_else(|f| panic!("{}", told(&f)));
    assert!(model.warnings.is_empty(), "{}", told(&model.warnings));
    assert!(model.ingress("work").is_some() && model.destination("workers").is_some());
}

/// Keys of the router's own in the schema, with the path that leads to each.
fn keys(schema: &serde_json::Value, root: &serde_json::Value, depth: usize, into: &mut Vec<String>) {
    if depth > 12 {
        return;
    }
    if let Some(path) = schema.get("$ref").and_then(|path| path.as_str()) {
        let name = path.strip_prefix("#/$defs/").unwrap();
        if !matches!(name, "Plan" | "Group") {
            keys(&root["$defs"][name], root, depth + 1, into);
        }
    }
    for (key, below) in schema
        .get("properties")
        .and_then(|p| p.as_object())
        .into_iter()
        .flatten()
    {
        if matches!(
            key.as_str(),
            "amqp" | "http" | "kafka" | "log" | "mqtt" | "tls" | "auth"
        ) {
            continue;
        }
        into.push(key.clone());
        keys(below, root, depth + 1, into);
    }
    for list in ["anyOf", "allOf", "oneOf"] {
        for below in schema.get(list).and_then(|l| l.as_array()).into_iter().flatten() {
            keys(below, root, depth + 1, into);
        }
    }
    if let Some(below) = schema.get("additionalProperties") {
        keys(below, root, depth + 1, into);
    }
}

#[test]
fn every_key_has_its_line_in_the_manual() {
    let schema = config::schema::schema(fake::ALL);
    let mut all = Vec::new();
    keys(&schema, &schema, 0, &mut all);
    keys(&schema["$defs"]["Group"], &schema, 0, &mut all);
    all.sort();
    all.dedup();
    assert!(all.len() > 40, "{all:?}");
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let named = |key: &String| {
        [format!("`{key}`"), format!(".{key}`"), format!("`{key}.")]
            .iter()
            .any(|form| manual.contains(form))
    };
    let missing: Vec<&String> = all.iter().filter(|key| !named(key)).collect();
    assert!(
        missing.is_empty(),
        "docs/configuration.md does not name {missing:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}") {
        let _ = load(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic(
        at in 0usize..2300, cut in 0usize..40, put in "[-:{}\\[\\],&*!|>'\"%@`#\\n\\t ${}a-z0-9]{0,12}"
    ) {
        let chars: Vec<char> = full().chars().collect();
        let at = at.min(chars.len());
        let text: String = chars[..at].iter().copied().chain(put.chars()).chain(chars.iter().skip(at + cut).copied()).collect();
        if let Ok(model) = load(&text) {
            let _ = config::print(&model);
        }
    }
}
