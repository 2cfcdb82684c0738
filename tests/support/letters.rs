//! A router with dead letters, its receiver, and the commands about them. What is said of letters in a place of their own
//! (the store, a topic, a queue) each test binary adds.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::{Command, Output};

use serde_json::Value;
use weft_rig::{Receiver, Request, Weft, free_port, http};

/// How many letters a job has under way.
pub(crate) const WINDOW: usize = 64;

/// HTTP to HTTP, and dead letters somewhere.
pub(crate) struct Case {
    pub(crate) receiver: Receiver,
    pub(crate) weft: Weft,
    pub(crate) web: u16,
    pub(crate) admin: u16,
}

impl Case {
    /// `file` makes it of the receiver's URL, and of what goes before the destinations: ports, and the ingress `web`.
    pub(crate) fn start(file: impl FnOnce(&str, &str) -> String) -> Case {
        let (receiver, web, admin) = (Receiver::start(), free_port(), free_port());
        let head = format!(
            "observe: {{ listen: \"${{OBSERVE}}\" }}\nadmin: {{ listen: \"127.0.0.1:{admin}\" }}\n\
             ingress:\n  web: {{ http: {{ listen: \"127.0.0.1:{web}\" }} }}\n"
        );
        let weft = Weft::at(env!("CARGO_BIN_EXE_weft"))
            .config(&file(&receiver.url("/"), &head))
            .arg("--no-watch")
            .start();
        Case {
            receiver,
            weft,
            web,
            admin,
        }
    }

    /// Posts events that the receiver refuses: they are dead letters when this returns.
    #[track_caller]
    pub(crate) fn refuse(&self, events: impl Iterator<Item = Value>) {
        self.receiver.answer(422);
        for event in events {
            let answer = http::post_event(self.web, "/", &event).unwrap();
            let (status, text) = (answer.status, answer.text());
            assert!((200..300).contains(&status), "{status}: {text}");
        }
        self.receiver.forget();
    }

    /// Runs a command against the router.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let admin = format!("127.0.0.1:{}", self.admin);
        Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(args)
            .args(["--admin", &admin])
            .env_remove("WEFT_LOG")
            .output()
            .unwrap()
    }

    /// What a command says that ends well.
    #[track_caller]
    pub(crate) fn ends_well(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let log = self.weft.log().tail();
        assert!(output.status.success(), "{args:?}: {out}{err}\n{log}");
        out
    }

    /// What a command says that does not.
    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The events that a receiver took.
pub(crate) fn ids(requests: &[Request]) -> BTreeSet<String> {
    let accepted = requests.iter().filter(|request| request.accepted);
    accepted
        .map(|request| request.header("ce-id").unwrap().to_owned())
        .collect()
}

pub(crate) fn numbers(range: Range<usize>) -> BTreeSet<String> {
    range.map(|id| id.to_string()).collect()
}

#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
