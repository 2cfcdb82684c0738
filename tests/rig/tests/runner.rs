//! The runner around all test binaries: its brokers are there for the command, and gone with it, however that comes.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

const RUNNER: &str = env!("CARGO_BIN_EXE_weft-rig");

#[test]
fn the_code_of_the_command_comes_back() {
    let script = r#"test -n "$WEFT_TEST_KAFKA" && exit 5"#;
    let status = Command::new(RUNNER)
        .args(["kafka", "--", "sh", "-c", script])
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(5));
    for wrong in [
        &["nonsense", "--", "true"][..],
        &["--", "true"],
        &["kafka"],
        &["kafka", "--"],
    ] {
        let output = Command::new(RUNNER).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage: weft-rig"));
    }
}

#[test]
fn every_broker_serves_where_its_variable_says() {
    let script = r#"echo "$WEFT_TEST_KAFKA" "$WEFT_TEST_ARTEMIS" "$WEFT_TEST_MOSQUITTO" "$WEFT_TEST_RABBITMQ"; read line"#;
    let mut runner = Command::new(RUNNER)
        .args(["all", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(runner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ports: Vec<u16> = line
        .trim()
        .trim_start_matches("127.0.0.1:")
        .split([' ', ','])
        .map(|port| port.parse().unwrap())
        .collect();
    assert_eq!(ports.len(), 1 + 4 + 4 + 2, "{line}");
    for port in &ports {
        TcpStream::connect(("127.0.0.1", *port)).unwrap();
    }
    drop(runner.stdin.take());
    runner.wait().unwrap();
    for port in &ports {
        assert!(
            TcpStream::connect(("127.0.0.1", *port)).is_err(),
            "{port} of {line}"
        );
    }
}

#[test]
fn a_runner_that_is_killed_takes_its_broker_along() {
    let mut runner = Command::new(RUNNER)
        .args(["kafka", "--", "sh", "-c", r#"echo "$WEFT_TEST_KAFKA"; cat"#])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Ours to close: it ends the command, which the kernel does not kill.
    let input = runner.stdin.take();
    let mut address = String::new();
    BufReader::new(runner.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let address = address.trim();
    TcpStream::connect(address).unwrap();

    runner.kill().unwrap();
    runner.wait().unwrap();
    weft_rig::eventually("the end of the broker", Duration::from_secs(30), || {
        TcpStream::connect(address).is_err().then_some(())
    });
    drop(input);
}
