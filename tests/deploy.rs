//! What is in `deploy/` to be copied: it is what it says, asks for what a router shows, and runs what `weft check` takes.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize as _;
use serde_yaml::Value;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(deploy(name)).unwrap()
}

/// The documents of a file.
fn documents(name: &str) -> Vec<Value> {
    let text = text(name);
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|one| Value::deserialize(one).unwrap()).collect()
}

/// The only document of a kind.
fn of_kind(name: &str, kind: &str) -> Value {
    let mut found = documents(name);
    found.retain(|document| document["kind"] == kind);
    assert_eq!(found.len(), 1, "{name} has {} of {kind}", found.len());
    found.remove(0)
}

/// The file that a router of this deployment reads.
fn router(name: &str) -> String {
    let map = of_kind(name, "ConfigMap");
    map["data"]["weft.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn each_file_of_a_deployment_is_one_that_check_takes() {
    for name in ["sidecar.yaml", "statefulset.yaml"] {
        let file = std::env::temp_dir().join(format!("weft-deploy-{}-{name}", std::process::id()));
        std::fs::write(&file, router(name)).unwrap();
        let said = Command::new(env!("CARGO_BIN_EXE_weft"))
            .arg("check")
            .arg(&file)
            .env("NODE_NAME", "example-0")
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        let errors = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && errors.is_empty(), "{name}: {errors}");
    }
}

/// Whoever is not root cannot write to a claim that belongs to root.
#[test]
fn the_store_of_the_stateful_set_is_on_a_claim_that_the_router_may_write_to() {
    let set = of_kind("statefulset.yaml", "StatefulSet");
    let pod = &set["spec"]["template"]["spec"];
    let router: Value = serde_yaml::from_str(&router("statefulset.yaml")).unwrap();
    let path = router["store"]["path"].as_str().unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_sequence().unwrap();
    let mount = mounts.iter().find(|mount| mount["mountPath"] == path).unwrap();
    let claims = set["spec"]["volumeClaimTemplates"].as_sequence().unwrap();
    let is_claimed = |claim: &Value| claim["metadata"]["name"] == mount["name"];
    assert!(claims.iter().any(is_claimed), "{path} goes with the Pod");
    let image = text("Containerfile");
    let user = image.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let (uid, gid) = user.split_once(':').unwrap();
    let security = &pod["securityContext"];
    assert_eq!(security["runAsUser"].as_u64(), uid.parse().ok());
    assert_eq!(security["fsGroup"].as_u64(), gid.parse().ok());
    assert!(image.contains(&format!("VOLUME {path}")));
}

/// The condition of every alert.
fn alerts() -> BTreeSet<String> {
    let file = documents("alerts.yaml").remove(0);
    let rules = file["groups"][0]["rules"].as_sequence().unwrap();
    let expressions = rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let all: Vec<String> = expressions.collect();
    let different: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), different.len());
    different
}

/// So that every name in them is one that a router shows (`tests/metrics.rs`).
#[test]
fn the_alerts_are_the_conditions_that_the_docs_say_to_watch() {
    let docs = include_str!("../docs/metrics.md");
    let (_, table) = docs.split_once("## What to watch").unwrap();
    let quoted = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let conditions = quoted.filter(|quoted| ["==", "<", ">"].iter().any(|sign| quoted.contains(sign)));
    let wanted: BTreeSet<String> = conditions.map(str::to_owned).collect();
    assert_eq!(alerts(), wanted);
}

#[test]
fn promtool_takes_the_alerts() {
    let started = Command::new("promtool")
        .args(["check", "rules"])
        .arg(deploy("alerts.yaml"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output();
    let Ok(said) = started else {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool (Debian package prometheus) is missing"
        );
        return;
    };
    let all = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "{all}");
}
