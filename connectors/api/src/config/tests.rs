//! Decoding: what is reported, where, and that it is everything.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::*;

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Section {
    url: String,
    #[serde(default)]
    timeout: Option<HumanDuration>,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Fast,
    Exact(u32),
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    first: String,
    second: u32,
    third: ByteSize,
}

/// Builds trees by hand: each key on a line of its own.
struct Draw {
    file: Arc<str>,
    line: u32,
}

impl Draw {
    fn node(&mut self, path: &str, json: &serde_json::Value) -> Node {
        let span = Span {
            file: self.file.clone(),
            line: self.line,
            column: 1,
        };
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => n
                .as_i64()
                .map_or_else(|| Value::Float(n.as_f64().unwrap()), Value::Int),
            serde_json::Value::String(s) => Value::Text(s.trim_start_matches('$').to_owned()),
            serde_json::Value::Array(items) => Value::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| self.node(&format!("{path}[{i}]"), item))
                    .collect(),
            ),
            serde_json::Value::Object(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(name, item)| {
                        self.line += 1;
                        let span = Span {
                            file: self.file.clone(),
                            line: self.line,
                            column: 1,
                        };
                        let path = if path.is_empty() {
                            name.clone()
                        } else {
                            format!("{path}.{name}")
                        };
                        (
                            Key {
                                name: name.clone(),
                                span,
                            },
                            self.node(&path, item),
                        )
                    })
                    .collect(),
            ),
        };
        let secret = matches!(json, serde_json::Value::String(s) if s.starts_with('$'));
        Node {
            value,
            span,
            path: path.into(),
            secret,
        }
    }
}

/// A tree from JSON; a text that begins with `$` is a secret.
fn tree(json: serde_json::Value) -> Node {
    Draw {
        file: "t.yaml".into(),
        line: 0,
    }
    .node("", &json)
}

fn mistakes(json: serde_json::Value) -> Vec<String> {
    decode::<Section>(&tree(json))
        .unwrap_err()
        .into_iter()
        .map(|f| format!("{} {}: {} | {}", f.span.line, f.path, f.what, f.remedy))
        .collect()
}

#[test]
fn a_good_section_is_read() {
    let section: Section = decode(&tree(serde_json::json!({
        "url": "http://x", "timeout": "1m", "port": 80, "headers": {"x-a": "b"}, "mode": {"exact": 3}, "x-note": 1
    })))
    .unwrap();
    assert_eq!(section.timeout, Some(HumanDuration::from_secs(60)));
    assert_eq!(section.headers["x-a"], "b");
    assert_eq!(section.mode, Some(Mode::Exact(3)));
}

#[test]
fn every_mistake_is_found_in_one_go_and_in_the_order_of_the_file() {
    assert_eq!(
        mistakes(serde_json::json!({
            "uri": "http://x",
            "timeout": 10,
            "port": "80",
            "hosts": ["a", 5, {"b": 1}],
            "mode": "exakt",
            "inner": {"first": 1, "thrid": "1MiB"}
        })),
        [
            "0 : the file needs the key `url` | add `url: ...` to it",
            "1 uri: unknown key `uri` | did you mean `url`?",
            "2 timeout: expected a duration such as 10s, 100ms, 5m or 1h30m, found the number 10 | for example `timeout: 10s`",
            "3 port: expected a whole number from 0 to 65535, found the text \"80\" | check its range, and write it without quotes",
            "4 hosts[1]: expected text, found the number 5 | put it in quotes",
            "4 hosts[2]: expected text, found a mapping | for example `hosts: [some text]`",
            "6 mode: `exakt` is not one of the words that may stand here | did you mean `exact`?",
            "7 inner: `inner` needs the key `second` | add `second: ...` to it",
            "7 inner: `inner` needs the key `third` | add `third: ...` to it",
            "8 inner.first: expected text, found the number 1 | put it in quotes",
            "9 inner.thrid: unknown key `thrid` | did you mean `third`?",
        ]
    );
}

#[test]
fn an_empty_section_is_a_mapping_without_keys() {
    assert_eq!(
        mistakes(serde_json::Value::Null),
        ["0 : the file needs the key `url` | add `url: ...` to it"]
    );
}

#[test]
fn what_came_out_of_the_environment_becomes_the_type_that_is_asked_for() {
    let section: Section = decode(&tree(serde_json::json!({"url": "$123", "port": "$8080"}))).unwrap();
    assert_eq!((section.url.as_str(), section.port), ("123", 8080));
}

#[test]
fn a_secret_is_never_shown() {
    for said in [
        mistakes(serde_json::json!({"url": "u", "port": "$hunter2"})),
        mistakes(serde_json::json!({"url": "u", "mode": "$hunter2"})),
        mistakes(serde_json::json!({"url": "u", "timeout": "$hunter2"})),
    ] {
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(!said[0].contains("hunter2"), "{said:?}");
    }
    #[derive(Debug)]
    struct Loud;
    impl<'de> Deserialize<'de> for Loud {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Loud, D::Error> {
            let text = String::deserialize(deserializer)?;
            Err(serde::de::Error::custom(format!(
                "bad password {text}; use another than {text}"
            )))
        }
    }
    let findings = decode::<Loud>(&tree(serde_json::json!("$hunter2"))).unwrap_err();
    assert_eq!(
        (findings[0].what.as_str(), findings[0].remedy.as_str()),
        ("bad password ***", "use another than ***")
    );
}

#[test]
fn a_list_is_no_mapping_and_a_variant_without_its_value_says_so() {
    assert_eq!(
        mistakes(serde_json::json!({"url": "u", "inner": ["a", 1, 2], "mode": "exact"})),
        [
            "2 inner: expected a mapping, found a list | for example `inner: { name: value }`",
            "3 mode: `exact` needs a value | write `{ exact: ... }`",
        ]
    );
}

#[test]
fn a_bad_root_ends_the_search() {
    assert_eq!(mistakes(serde_json::json!("text")).len(), 1);
}

#[test]
fn very_many_mistakes_end() {
    let many: serde_json::Map<String, serde_json::Value> = (0..1000)
        .map(|i| (format!("k{i}"), serde_json::Value::Null))
        .collect();
    let said = mistakes(serde_json::Value::Object(many));
    assert!(said.len() >= 300, "{}", said.len());
}
