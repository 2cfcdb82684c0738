//! The handle of the binary, against a stand-in that keeps the same promises: `run FILE`, `/readyz`, `/metrics`, signals.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use weft_rig::{Dir, Weft, WeftBuilder};

const LIMIT: Duration = Duration::from_secs(30);

/// Ready unless its file says `never`; ends at once when it says `bad`.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

def log(line):
    print(line, file=sys.stderr, flush=True)

def read(*_):
    global text
    text = open(sys.argv[2]).read()
    log("config " + text)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/metrics" or text != "never"
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b'weft_starts_total{how="%s"} 2\n' % os.environ.get("HOW", "").encode())
    def log_message(self, *_):
        pass

assert sys.argv[1] == "run"
signal.signal(signal.SIGHUP, read)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
read()
if text == "bad":
    sys.exit(78)
open(os.environ["DIR"] + "/starts", "a").write("x")
host, port = os.environ["OBSERVE"].split(":")
HTTPServer((host, int(port)), Handler).serve_forever()
"#;

fn stand_in() -> (Dir, WeftBuilder) {
    let dir = Dir::new("stand-in");
    let path = dir.write("weft", STAND_IN);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let builder = Weft::at(path.to_str().unwrap());
    (dir, builder)
}

#[test]
fn it_starts_reloads_dies_and_starts_again_in_the_same_place() {
    let (_dir, builder) = stand_in();
    let mut weft = builder.config("one").env("HOW", "clean").start();
    assert_eq!(
        weft.metrics().get("weft_starts_total", &[("how", "clean")]),
        Some(2.0)
    );
    weft.log()
        .wait_for("its file", LIMIT, |line| line == "config one");

    let mark = weft.log().mark();
    weft.rewrite("two");
    weft.sighup();
    weft.log()
        .wait_from(mark, "the new file", LIMIT, |line| line == "config two");

    let first = weft.pid();
    weft.kill9();
    assert!(!weft.wait().success());
    assert!(!weft.is_ready());
    weft.restart();
    assert_ne!(weft.pid(), first);
    weft.log()
        .wait_for("the file after the restart", LIMIT, |line| line == "config two");
    assert_eq!(std::fs::read_to_string(weft.dir().join("starts")).unwrap(), "xx");

    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0));
}

#[test]
fn a_start_that_is_not_ready_can_be_watched() {
    let (_dir, builder) = stand_in();
    let mut weft = builder.config("never").spawn();
    weft.log()
        .wait_for("its file", LIMIT, |line| line == "config never");
    weft_rig::eventually("an answer", LIMIT, || {
        weft_rig::http::get(weft.observe_port(), "/readyz")
            .ok()
            .filter(|answer| answer.status == 503)
    });
    assert!(!weft.is_ready());
    assert_eq!(weft.ended(), None);
}

#[test]
#[should_panic(expected = "config bad")]
fn a_start_that_fails_shows_the_log() {
    let (_dir, builder) = stand_in();
    let _ = builder.config("bad").start();
}
