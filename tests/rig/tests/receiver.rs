//! The receiver: it records what came, and does what its script says, over both versions of HTTP.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use weft_rig::{BlackHole, Mix, Python, Receiver, Reply, http};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_request_is_recorded_whole_and_answered_by_the_script() {
    let receiver = Receiver::start();
    let tries = AtomicUsize::new(0);
    receiver.respond(move |request| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(503).header("retry-after", "1").body("later"),
        _ => Reply::status(if request.header("x") == Some("y") {
            204
        } else {
            400
        }),
    });
    let post = || http::post(receiver.port(), "/in?a=b", &[("x", "y")], "{\"n\":1}").unwrap();
    let first = post();
    assert_eq!(
        (first.status, first.header("retry-after"), first.text().as_str()),
        (503, Some("1"), "later")
    );
    assert_eq!(post().status, 204);

    let seen = receiver.wait_for(2, LIMIT);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str(), seen[0].http),
        ("POST", "/in?a=b", 1)
    );
    assert_eq!(seen[1].json()["n"], 1);
    assert_ne!(seen[0].connection, seen[1].connection);
    receiver.forget();
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn it_works_on_the_only_thread_of_another_runtime() {
    let receiver = Receiver::start();
    receiver.answer(401);
    assert_eq!(http::get(receiver.port(), "/").unwrap().status, 401);
}

#[test]
fn a_reset_is_a_reset_and_the_request_was_seen() {
    let receiver = Receiver::start();
    receiver.respond(|_| Reply::reset());
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx",
    )
    .unwrap();
    let answer = std::io::Read::read(&mut stream, &mut [0; 16]);
    assert_eq!(answer.map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    assert_eq!(receiver.wait_for(1, LIMIT)[0].body, "x");
}

#[test]
fn half_an_answer_is_the_beginning_of_one_and_no_arrival() {
    let receiver = Receiver::start();
    receiver.respond(|_| Reply::half());
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", receiver.port())).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx",
    )
    .unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut stream, &mut said).unwrap();
    assert!(
        said.starts_with("HTTP/1.1 204") && !said.contains("\r\n"),
        "{said:?}"
    );
    assert_eq!((receiver.count(), receiver.accepted()), (1, 0));
    receiver.answer(204);
    assert_eq!(http::get(receiver.port(), "/").unwrap().status, 204);
    assert_eq!((receiver.count(), receiver.accepted()), (2, 1));
}

#[test]
fn black_holes_take_connections_or_not_even_those_and_leave_the_port_behind() {
    let port = weft_rig::free_port();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let hole = BlackHole::silent(port);
    let mut stream = connect().unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let heard = std::io::Read::read(&mut stream, &mut [0; 1]).map_err(|e| e.kind());
    assert!(
        matches!(heard, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)),
        "{heard:?}"
    );
    drop(hole);
    let hole = BlackHole::deaf(port);
    assert_eq!(connect().map_err(|e| e.kind()).unwrap_err(), ErrorKind::TimedOut);
    drop(hole);
    let receiver = Receiver::on(port);
    assert_eq!(http::get(receiver.port(), "/").unwrap().status, 204);
}

#[test]
fn a_mixture_answers_a_request_at_each_try_as_its_seed_says() {
    let receiver = Receiver::start();
    let mix = Mix::seeded(7).of(1, Reply::status(204)).of(1, Reply::status(500));
    let post = |id: &str| {
        let answer = http::post(receiver.port(), "/", &[("ce-id", id)], "x");
        answer.unwrap().status
    };
    let mut runs = Vec::new();
    for order in [["a", "b", "c", "a", "b", "c"], ["c", "c", "b", "b", "a", "a"]] {
        receiver.respond(mix.clone().script());
        let mut said: Vec<_> = order.iter().map(|id| (*id, post(id))).collect();
        said.sort_by_key(|(id, _)| *id);
        runs.push(said);
    }
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn held_replies_go_all_at_once_and_a_delay_is_kept() {
    let receiver = Receiver::start();
    receiver.respond(|_| Reply::status(202).held());
    let port = receiver.port();
    let senders: Vec<_> = (0..3)
        .map(|_| thread::spawn(move || http::post(port, "/", &[], "x").unwrap().status))
        .collect();
    let _ = receiver.wait_for(3, LIMIT);
    assert!(senders.iter().all(|sender| !sender.is_finished()));
    receiver.release();
    let answers: Vec<u16> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    assert_eq!(answers, [202; 3]);

    receiver.respond(|_| Reply::status(204).after(Duration::from_millis(50)));
    let began = std::time::Instant::now();
    http::get(port, "/").unwrap();
    assert!(began.elapsed() >= Duration::from_millis(50));
}

#[test]
fn closing_drops_connections_and_refuses_new_ones_until_it_opens_again() {
    let mut receiver = Receiver::start();
    receiver.respond(|_| Reply::hang());
    let port = receiver.port();
    let hanging = thread::spawn(move || http::get(port, "/"));
    let _ = receiver.wait_for(1, LIMIT);
    receiver.close();
    assert!(
        hanging.join().unwrap().is_err(),
        "a request that hung was answered"
    );
    assert_eq!(
        http::get(port, "/").map_err(|e| e.kind()).unwrap_err(),
        ErrorKind::ConnectionRefused
    );
    receiver.open();
    receiver.answer(204);
    assert_eq!(http::get(port, "/").unwrap().status, 204);
}

#[test]
fn it_speaks_http_2_without_tls() {
    let receiver = Receiver::start();
    let script = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));\
                  s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]));\
                  print(s.recv(9)[3])";
    let output = Command::new("python3")
        .args(["-c", script, &receiver.port().to_string()])
        .output()
        .unwrap();
    // A SETTINGS frame is of type 4.
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4", "{output:?}");
}

#[test]
fn the_sdk_sends_to_us_and_to_itself_in_every_mode() {
    let receiver = Receiver::start();
    let mut sdk = Python::script("http_recv.py").spawn();
    let port = sdk.next_line(LIMIT)["port"].as_u64().unwrap();
    for mode in ["binary", "structured", "batch"] {
        let send = |url: &str| {
            Python::script("http_send.py")
                .option("--url", url)
                .option("--mode", mode)
                .option("--count", 4)
                .run()
        };
        receiver.forget();
        assert_eq!(send(&receiver.url("/events"))[3]["status"], 204);
        let requests = receiver.requests();
        assert_eq!(requests.len(), if mode == "batch" { 1 } else { 4 });
        assert_eq!(requests[0].path, "/events");

        for sent in send(&format!("http://127.0.0.1:{port}/x")) {
            let read = sdk.next_line(LIMIT);
            assert_eq!(read["path"], "/x");
            for field in ["attributes", "json", "text", "base64"] {
                assert_eq!(sent.get(field), read.get(field), "{mode} {field}");
            }
        }
    }
    let refused = http::post(
        u16::try_from(port).unwrap(),
        "/",
        &[("content-type", "text/plain")],
        "x",
    )
    .unwrap();
    assert_eq!(refused.status, 400);
    assert!(sdk.next_line(LIMIT).get("refused").is_some());
}
