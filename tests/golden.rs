//! What a person reads, word for word: one file a command line in `tests/golden`.
//!
//! After a wanted change: `WEFT_BLESS=1 cargo test --test golden`, and read the difference.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

const CASES: &[(&str, &[&str])] = &[
    ("check-good", &["check", "routes.yaml"]),
    ("check-warned", &["check", "warned.yaml"]),
    ("check-wrong", &["check", "wrong.yaml"]),
    ("check-twice", &["check", "routes.yaml", "twice.yaml"]),
    ("check-missing-file", &["check", "nowhere.yaml"]),
    ("check-print", &["check", "--print", "secret.yaml"]),
    ("check-store", &["check", "store.yaml"]),
    ("check-store-print", &["check", "--print", "store.yaml"]),
    ("check-store-wrong", &["check", "store-wrong.yaml"]),
    (
        "explain-event",
        &[
            "explain",
            "routes.yaml",
            "--ingress",
            "web",
            "--event",
            "@hot.json",
        ],
    ),
    (
        "explain-json",
        &["explain", "routes.yaml", "--event", "@hot.json", "--json"],
    ),
    (
        "explain-raw",
        &[
            "explain",
            "routes.yaml",
            "--ingress",
            "plant",
            "--data",
            "{\"msgid\":\"m1\",\"temp\":81.6}",
        ],
    ),
    (
        "explain-malformed",
        &[
            "explain",
            "routes.yaml",
            "--ingress",
            "plant",
            "--data",
            "{\"temp\":81.6}",
        ],
    ),
    (
        "explain-unmatched",
        &[
            "explain",
            "routes.yaml",
            "--ingress",
            "web",
            "--type",
            "t",
            "--id",
            "1",
            "--data",
            "hello",
        ],
    ),
    (
        "explain-unknown-ingress",
        &["explain", "routes.yaml", "--ingress", "wbe", "--type", "t"],
    ),
    (
        "explain-no-event",
        &["explain", "routes.yaml", "--event", "{\"id\":\"1\"}"],
    ),
    (
        "explain-logs",
        &[
            "explain",
            "shared.yaml",
            "--ingress",
            "web",
            "--type",
            "t",
            "--id",
            "1",
            "--data",
            "hello",
        ],
    ),
    ("test-good", &["test", "cases.test.yaml"]),
    (
        "test-protocols",
        &["test", "protocols.test.yaml", "--coverage-min", "100"],
    ),
    ("test-failing", &["test", "failing.test.yaml"]),
    ("test-wrong", &["test", "wrong.test.yaml"]),
    ("test-typo", &["test", "typo.test.yaml"]),
    ("test-list", &["test", "list.test.yaml"]),
    ("test-missing-file", &["test", "nowhere.test.yaml"]),
    ("test-empty", &["test", "empty.test.yaml"]),
    (
        "test-json",
        &[
            "test",
            "failing.test.yaml",
            "--format",
            "json",
            "--filter",
            "billing falls",
        ],
    ),
    ("test-junit", &["test", "failing.test.yaml", "--format", "junit"]),
    (
        "test-coverage-min",
        &["test", "cases.test.yaml", "--coverage-min", "100"],
    ),
    (
        "test-no-such-case",
        &["test", "cases.test.yaml", "--filter", "nobody knows"],
    ),
    ("diff", &["check", "--diff", "routes.yaml", "changed.yaml"]),
    (
        "diff-secret",
        &["check", "--diff", "secret.yaml", "secret-moved.yaml"],
    ),
    (
        "diff-store",
        &["check", "--diff", "store.yaml", "store-changed.yaml"],
    ),
    (
        "diff-store-restart",
        &["check", "--diff", "store.yaml", "store-restart.yaml"],
    ),
    (
        "diff-store-gone",
        &["check", "--diff", "store.yaml", "store-gone.yaml"],
    ),
    (
        "diff-shared",
        &["check", "--diff", "shared.yaml", "shared-changed.yaml"],
    ),
    ("diff-same", &["check", "--diff", "routes.yaml", "routes.yaml"]),
    (
        "diff-restart",
        &["check", "--diff", "routes.yaml", "restart.yaml"],
    ),
    (
        "diff-json",
        &[
            "check",
            "--diff",
            "routes.yaml",
            "changed.yaml",
            "--format",
            "json",
        ],
    ),
    ("diff-wrong", &["check", "--diff", "routes.yaml", "wrong.yaml"]),
    ("diff-one", &["check", "--diff", "routes.yaml"]),
    (
        "send-unknown-ingress",
        &["send", "routes.yaml", "--ingress", "wbe", "--type", "t"],
    ),
    (
        "send-which-topic",
        &["send", "secret.yaml", "--ingress", "orders", "--type", "t"],
    ),
];

/// Exit code, standard output and standard error, as the golden file has them.
fn said(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"))
        .env_remove("WEFT_LOG")
        .output()
        .unwrap();
    let code = output.status.code().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    format!(
        "$ weft {}\nexit {code}\n--- stdout\n{out}--- stderr\n{err}",
        args.join(" ")
    )
}

#[test]
#[cfg_attr(
    not(all(
        feature = "amqp",
        feature = "http",
        feature = "kafka",
        feature = "mqtt",
        feature = "inproc"
    )),
    ignore = "needs all connectors"
)]
fn every_answer_is_the_one_that_was_agreed_on() {
    let bless = std::env::var_os("WEFT_BLESS").is_some();
    let mut different = Vec::new();
    for (name, args) in CASES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.txt"));
        let now = said(args);
        if bless {
            fs::write(&path, &now).unwrap();
        }
        let agreed = fs::read_to_string(&path).unwrap_or_default();
        if now != agreed {
            different.push(format!("== {name}: now\n{now}\n== {name}: agreed\n{agreed}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn no_golden_file_is_left_without_its_case() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let case = name.strip_suffix(".txt");
        assert!(
            case.is_none_or(|case| CASES.iter().any(|(known, _)| *known == case)),
            "{name}"
        );
    }
}

#[test]
fn no_secret_is_ever_printed() {
    for args in [
        &["check", "--print", "secret.yaml"][..],
        &["check", "--diff", "secret.yaml", "secret-moved.yaml"],
        &["test", "protocols.test.yaml"],
        &["send", "secret.yaml", "--ingress", "orders", "--type", "t"],
    ] {
        assert!(!said(args).contains("hidden"), "{args:?}");
    }
}
