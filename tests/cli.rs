//! The binary as a person or a script meets it.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

fn weft(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(args)
        .env_remove("WEFT_LOG")
        .output()
        .unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A server that answers one request and gives back what it got.
fn answering(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = request(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        request
    });
    (address, server)
}

fn request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map(|n| n.parse().unwrap());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

#[test]
fn help_lists_every_command_on_standard_output() {
    let help = weft(&["--help"]);
    assert_eq!(code(&help), 0);
    for command in [
        "run", "check", "explain", "test", "send", "status", "dlq", "replay", "init", "schema", "version",
    ] {
        assert!(
            out(&help).contains(&format!("\n  {command} ")),
            "{command} is not in\n{}",
            out(&help)
        );
        assert_eq!(code(&weft(&[command, "--help"])), 0, "{command} --help");
    }
    assert_eq!(err(&help), "");
}

#[test]
fn a_wrong_command_line_is_64_and_says_what_to_write() {
    for (args, hint) in [
        (&["chekc"][..], "check"),
        (&["status", "--jsn"], "--json"),
        (&["init", "gatway"], "gateway"),
        (&["schema", "test"], "tests"),
        (&["test"], "TESTS"),
        (
            &["test", "f", "--filter", "a", "--coverage-min", "1"],
            "cannot be used with",
        ),
        (&["check", "a", "--format", "json"], "--diff"),
        (&["--log", "inof", "version"], "write a level"),
        (&["send", "--to", "http://127.0.0.1:1/"], "--type"),
        (
            &[
                "explain",
                "f.yaml",
                "--ingress",
                "web",
                "--type",
                "t",
                "--header",
                "a=b",
            ],
            "cannot be used with",
        ),
        (&["send", "--to", "https://crm/", "--type", "t"], "write http://"),
        (&["dlq", "replay"], "--all"),
        (&["dlq", "replay", "--all", "--id", "1"], "contradict"),
        (&["dlq", "replay", "--all", "--rate", "0/s"], "100/s"),
        (
            &["dlq", "replay", "--all", "--to", "a", "--all-routes"],
            "cannot be used with",
        ),
        (&["dlq", "purge", "--yes"], "--all"),
        (&["dlq", "list", "--since", "yesterday"], "how long ago"),
        (&["replay", "--from-log", "a", "--from", "1h"], "--to-destination"),
        (&[], "Usage"),
    ] {
        let wrong = weft(args);
        assert_eq!(code(&wrong), 64, "{args:?}: {}", err(&wrong));
        assert!(err(&wrong).contains(hint), "{args:?}: {}", err(&wrong));
        assert_eq!(out(&wrong), "", "{args:?}");
    }
}

#[test]
fn version_names_version_and_connectors() {
    let version = weft(&["version"]);
    assert_eq!(code(&version), 0);
    assert!(out(&version).starts_with(concat!("weft ", env!("CARGO_PKG_VERSION"), "\nconnectors:")));
}

#[test]
fn send_posts_a_cloudevent_and_says_what_the_answer_means() {
    let (address, server) = answering("HTTP/1.1 204 No Content\r\n\r\n");
    let sent = weft(&[
        "send",
        "--to",
        &format!("http://{address}/events"),
        "--type",
        "t",
        "--id",
        "7",
        "--data",
        "{}",
    ]);
    assert_eq!(
        (code(&sent), out(&sent)),
        (0, "204 No Content  delivered  id 7\n"),
        "{}",
        err(&sent)
    );
    let request = server.join().unwrap();
    assert!(request.starts_with("post /events http/1.1\r\n"), "{request}");
    assert!(
        request.contains("content-type: application/cloudevents+json"),
        "{request}"
    );
    assert!(request.contains("\"type\":\"t\""), "{request}");
}

#[test]
fn a_refusal_is_1_and_busy_is_69_with_what_the_server_said() {
    let problem = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 8\r\n\r\nno route";
    let busy = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull";
    for (answer, expected, said) in [(problem, 1, "no route"), (busy, 69, "full")] {
        let (address, server) = answering(answer);
        let sent = weft(&["send", "--to", &format!("http://{address}/"), "--type", "t"]);
        assert_eq!(code(&sent), expected, "{}", err(&sent));
        assert!(err(&sent).contains(said), "{}", err(&sent));
        server.join().unwrap();
    }
}

#[test]
fn a_router_that_is_not_there_is_69_and_says_how_to_name_another() {
    // Bound and let go again: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let status = weft(&["status", "--admin", &address]);
    assert_eq!(code(&status), 69, "{}", err(&status));
    assert!(err(&status).contains("--admin HOST:PORT"), "{}", err(&status));
}

#[test]
fn what_is_no_router_is_told_so() {
    let (address, server) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let status = weft(&["status", "--json", "--admin", &address]);
    assert_eq!(code(&status), 1);
    assert!(err(&status).contains("no status of Weft"), "{}", err(&status));
    server.join().unwrap();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    let ended = command
        .args(["init", "gateway"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = ended.wait_with_output().unwrap();
    assert_eq!((code(&ended), err(&ended)), (0, ""));
}

/// Before a start is tried, and while a router has it.
#[test]
fn check_connect_says_whether_the_store_can_be_where_the_file_says() {
    let dir = std::env::temp_dir().join(format!("weft-cli-store-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("weft.yaml");
    let check = |store: &str| {
        let yaml = format!(
            "store: {store}\ningress: {{ web: {{ http: {{ listen: \"127.0.0.1:0\" }} }} }}\n\
             destinations: {{ out: {{ log: , store: true }} }}\nroutes: {{ all: {{ to: out }} }}\n"
        );
        std::fs::write(&file, yaml).unwrap();
        let output = weft(&["check", "--connect", file.to_str().unwrap()]);
        let line = out(&output).lines().find(|line| line.starts_with("store  "));
        (code(&output), line.unwrap_or_default().to_owned())
    };
    let path = dir.join("store");
    let path = path.to_str().unwrap();
    assert_eq!(
        check(&format!("{{ path: {path} }}")),
        (0, format!("store  {path}  ok"))
    );
    let (code, said) = check(&format!("{{ path: {path}, keep_free: 1000000TiB }}"));
    assert!(
        code == 0 && said.contains("it would take nothing"),
        "{code}: {said}"
    );
    assert!(!dir.join("store").exists(), "a look leaves nothing behind");
    let (code, said) = check(&format!("{{ path: {} }}", file.display()));
    assert!(
        code == 69 && said.contains("weft.yaml is a file: name a directory"),
        "{code}: {said}"
    );
    let (code, said) = check("{ path: /proc/weft }");
    assert!(
        code == 69 && said.contains("making the directory"),
        "{code}: {said}"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
