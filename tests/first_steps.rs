//! What the README promises to somebody who has never seen Weft works as it is printed.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{LIMIT, weft};
use weft_rig::{Receiver, Weft, free_port};

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("reading {}: {e}", path.display()))
}

/// The addresses of a shipped file become free ones, in the same way for every text.
struct Ports(Vec<(String, String)>);

impl Ports {
    fn of(yaml: &str, observe: u16) -> Ports {
        let mut ports = vec![("9464".to_owned(), observe.to_string())];
        for word in yaml.split(|c: char| !c.is_ascii_digit() && c != ':' && c != '.') {
            let Some((host, port)) = word.rsplit_once(':') else {
                continue;
            };
            let local = host == "127.0.0.1" || host == "0.0.0.0";
            if local && port.parse::<u16>().is_ok() && !ports.iter().any(|(known, _)| known == port) {
                ports.push((port.to_owned(), free_port().to_string()));
            }
        }
        Ports(ports)
    }

    fn rewrite(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| {
            text.replace(&format!(":{from}"), &format!(":{to}"))
        })
    }
}

/// Runs a line as a person would, and returns what it printed.
#[track_caller]
fn shell(line: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{line}\n{out}{err}");
    out.into_owned()
}

#[test]
fn the_readme_s_first_lines_work_with_the_example_as_it_is_shipped() {
    let (readme, example) = (shipped("README.md"), shipped("routes.example.yaml"));
    let builder = Weft::at(env!("CARGO_BIN_EXE_weft"));
    let ports = Ports::of(&example, builder.observe_port());
    let weft = builder.config(&ports.rewrite(&example)).start();

    let curls: Vec<_> = readme.lines().filter(|line| line.starts_with("curl ")).collect();
    let first = curls
        .iter()
        .find(|line| line.contains("-d"))
        .expect("a line that posts an event");
    let answer = shell(&ports.rewrite(first));
    assert!(
        answer.starts_with("HTTP/1.1 204"),
        "{answer}\n{}",
        weft.log().tail()
    );
    let matched = answer.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("weft-matched: ")
            .map(str::to_owned)
    });
    assert!(
        matched.is_some_and(|count| count.trim().parse::<u32>().unwrap() > 0),
        "{answer}"
    );
    // Whole or in short, as the file has it: `{"hello":1}` is 11 bytes.
    weft.out().wait_for("the event", LIMIT, |line| {
        line.contains("hello") || line.contains("11 B")
    });

    for line in curls.iter().filter(|line| line.contains("metrics")) {
        assert!(!shell(&ports.rewrite(line)).is_empty(), "{line}");
    }
    // And the commands beside it, with the binary and the file of this test.
    let weft_lines = readme
        .lines()
        .filter(|line| line.starts_with("target/release/weft "));
    for line in weft_lines {
        let admin = ports.rewrite("127.0.0.1:9465");
        let own = line.replace("target/release/weft", env!("CARGO_BIN_EXE_weft"));
        let own = own.replace(
            "routes.example.yaml",
            weft.dir().join("weft.yaml").to_str().unwrap(),
        );
        let own = if own.ends_with(" status") {
            format!("{own} --admin {admin}")
        } else {
            own
        };
        assert!(!shell(&own).is_empty(), "{line}");
    }
}

#[test]
fn the_example_warns_of_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes.example.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .arg("check")
        .arg(path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("warning"), "{said}");
}

#[test]
fn the_tests_of_the_example_pass_and_cover_its_routes() {
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["test", "routes.example.test.yaml", "--coverage-min", "100"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_plain_post_is_refused_with_a_line_that_works() {
    let (receiver, port) = (Receiver::start(), free_port());
    let url = receiver.url("/");
    let _weft = weft(&format!(
        "ingress: {{ web: {{ http: {{ listen: \"127.0.0.1:{port}\", path: /events }} }} }}\ndestinations: {{ out: {{ http: {{ url: \"{url}\" }} }} }}\nroutes: {{ all: {{ to: out }} }}\n"
    ))
    .start();
    let answer = shell(&format!(
        "curl -s -w '\\n%{{http_code}}' http://127.0.0.1:{port}/events -d '{{\"hello\":1}}'"
    ));
    let (body, status) = answer.rsplit_once('\n').unwrap();
    assert_eq!(status, "400", "{body}");
    let problem: Value = serde_json::from_str(body).unwrap();
    let line = problem["example"].as_str().expect("a line to paste");
    assert!(line.starts_with("curl "), "{line}");
    let again = shell(&line.replacen("curl ", "curl -s -w '%{http_code}' ", 1));
    assert_eq!(again, "204", "{line}");
    let seen = &receiver.wait_for(1, LIMIT)[0];
    assert_eq!(&seen.body[..], b"{\"hello\":1}");
    assert_eq!(seen.header("ce-type"), Some("com.example.hello"));
}

#[test]
fn a_plain_post_becomes_an_event_where_the_file_takes_plain_messages() {
    let (receiver, port) = (Receiver::start(), free_port());
    let url = receiver.url("/");
    let _weft = weft(&format!(
        "node: {{ cluster: paris }}\ningress: {{ web: {{ http: {{ listen: \"127.0.0.1:{port}\" }}, accept: both }} }}\ndestinations: {{ out: {{ http: {{ url: \"{url}\" }} }} }}\nroutes: {{ all: {{ to: out }} }}\n"
    ))
    .start();
    let line = format!(
        "curl -s -w '%{{http_code}}' http://127.0.0.1:{port}/ -H 'content-type: application/json' -d '{{\"hello\":1}}'"
    );
    assert_eq!(shell(&line), "204");
    let seen = &receiver.wait_for(1, LIMIT)[0];
    assert_eq!(&seen.body[..], b"{\"hello\":1}");
    assert_eq!(seen.header("ce-type"), Some("weft.http.request"));
    assert_eq!(seen.header("ce-source"), Some("weft://paris/web"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(seen.header("ce-id").is_some_and(|id| id.len() == 36));
}
