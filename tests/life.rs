//! The router's life as an operator sees it: start, readiness, reload, drain, exit (CONTRACT C29, C30).
#![cfg(all(feature = "http", feature = "inproc"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that must happen soon.
const SOON: Duration = Duration::from_secs(20);

struct Router {
    child: Option<Child>,
    dir: PathBuf,
    observe: String,
    admin: String,
    web: String,
}

/// An address that was free a moment ago.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

impl Router {
    /// Writes a file whose route `name` sends what the ingress takes to `destinations`, and runs it.
    fn start(name: &str, destinations: &str) -> Router {
        let dir = std::env::temp_dir().join(format!("weft-life-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (observe, admin, web) = (free(), free(), free());
        let mut router = Router {
            child: None,
            dir,
            observe,
            admin,
            web,
        };
        router.write(name, destinations);
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.arg("run").arg(router.file()).args(["--drain", "10s"]);
        router.child = Some(
            command
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        router.until("the router to be ready", || {
            router.get(&router.observe, "/readyz").starts_with("HTTP/1.1 200")
        });
        router
    }

    fn file(&self) -> PathBuf {
        self.dir.join("routes.yaml")
    }

    fn write(&self, route: &str, destinations: &str) {
        let Router {
            observe, admin, web, ..
        } = self;
        let text = format!(
            "observe: {{ listen: \"{observe}\" }}\nadmin: {{ listen: \"{admin}\" }}\n\
             ingress: {{ web: {{ http: {{ listen: \"{web}\", path: /events }} }} }}\n\
             destinations: {{ {destinations} }}\nroutes: {{ {route}: {{ to: out }} }}\n"
        );
        // Renamed into place: nobody sees half a file.
        fs::write(self.dir.join("new"), text).unwrap();
        fs::rename(self.dir.join("new"), self.file()).unwrap();
    }

    fn get(&self, address: &str, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(address) {
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let _ = stream
                .write_all(request.as_bytes())
                .and_then(|()| stream.read_to_string(&mut answer));
        }
        answer
    }

    fn metric(&self, series: &str) -> Option<u64> {
        let text = self.get(&self.observe, "/metrics");
        let line = text.lines().find(|line| line.starts_with(series))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < SOON, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn weft(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(args)
            .output()
            .unwrap()
    }

    fn send(&self) -> Output {
        let file = self.file();
        self.weft(&["send", file.to_str().unwrap(), "--ingress", "web", "--type", "t"])
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end: exit code and log.
    fn end(&mut self) -> (Option<i32>, String) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn an_event_goes_through_and_sigterm_ends_the_router_with_0() {
    let mut router = Router::start("all", "out: { log: { to: stderr } }");
    let sent = router.send();
    assert!(sent.stdout.starts_with(b"204 No Content  delivered"), "{sent:?}");
    let status = router.weft(&["status", "--admin", &router.admin]);
    let text = String::from_utf8(status.stdout).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("web "))
        .unwrap_or_default();
    assert!(line.contains(" ready ") && line.contains(&router.web), "{text}");
    assert_eq!(
        router.metric("weft_obligations_settled_total{ingress=\"web\",result=\"delivered\"}"),
        Some(1)
    );
    router.signal("TERM");
    let (code, log) = router.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"type\":\"t\""), "{log}");
}

#[test]
fn a_changed_file_is_applied_and_an_invalid_one_changes_nothing() {
    let router = Router::start("first", "out: { log: { to: stderr } }");
    router.write("second", "out: { log: { to: stderr } }");
    router.until("the changed file", || {
        router.get(&router.admin, "/routes").contains("\"second\"")
    });
    assert_eq!(
        router.metric("weft_config_reloads_total{result=\"applied\"}"),
        Some(1)
    );
    router.write("Third", "out: { lgo: {} }");
    router.until("the refusal", || {
        router.metric("weft_config_reloads_total{result=\"refused\"}") == Some(1)
    });
    assert!(router.get(&router.admin, "/routes").contains("\"second\""));
    let url = format!("http://{}/events", router.web);
    assert!(
        router
            .weft(&["send", "--to", &url, "--type", "t"])
            .status
            .success(),
        "the old table goes on"
    );
}

#[test]
fn a_hang_up_reloads_at_once() {
    let router = Router::start("all", "out: { log: { to: stderr } }");
    router.signal("HUP");
    router.until("the reload", || {
        let ended = ["applied", "unchanged"].map(|r| format!("weft_config_reloads_total{{result=\"{r}\"}}"));
        ended.iter().any(|series| router.metric(series) == Some(1))
    });
}

#[test]
fn what_cannot_be_delivered_is_given_back_when_the_router_stops() {
    // Nobody listens there.
    let down = format!("out: {{ http: {{ url: \"http://{}/\" }} }}", free());
    let mut router = Router::start("all", &down);
    let file = router.file();
    let mut send = Command::new(env!("CARGO_BIN_EXE_weft"));
    send.args(["send", file.to_str().unwrap(), "--ingress", "web", "--type", "t"]);
    let waiting = send
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    router.until("the event", || {
        router.metric("weft_ingress_events_total{ingress=\"web\"}") == Some(1)
    });
    router.signal("TERM");
    router.signal("TERM");
    let given_back = waiting.wait_with_output().unwrap();
    assert_eq!(given_back.status.code(), Some(69), "{given_back:?}");
    let (code, log) = router.end();
    assert_eq!(code, Some(0), "{log}");
}
