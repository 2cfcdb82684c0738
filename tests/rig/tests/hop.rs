//! The hop: what crosses it, what each loss loses, and that nothing of it is left.
#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use weft_rig::{Broker, Hop, Kafka, Loss, Receiver, Record, eventually};

const LIMIT: Duration = Duration::from_secs(30);
/// How long a test looks that nothing comes.
const SILENCE: Duration = Duration::from_millis(300);
const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";

/// A hop, or the reason why there is none here.
fn hop(test: &str) -> Option<Hop> {
    Hop::new().map_err(|why| why.skip(test)).ok()
}

fn connect(hop: &Hop, port: u16) -> std::io::Result<TcpStream> {
    let address: SocketAddr = format!("{}:{port}", hop.host()).parse().unwrap();
    let stream = TcpStream::connect_timeout(&address, SILENCE)?;
    stream.set_read_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// Sends a request, and returns how the answer began.
fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(REQUEST)?;
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    let mut rest = [0; 4096];
    while !rest.windows(4).any(|w| w == b"\r\n\r\n") {
        let at = rest.iter().position(|byte| *byte == 0).unwrap();
        assert_ne!(stream.read(&mut rest[at..])?, 0);
    }
    Ok(String::from_utf8_lossy(&begin).into_owned())
}

#[test]
fn it_passes_everything_and_each_direction_is_lost_by_itself() {
    let Some(hop) = hop("hop: directions") else { return };
    let receiver = Receiver::start();
    let mut stream = connect(&hop, receiver.port()).unwrap();
    assert_eq!(ask(&mut stream).unwrap(), "HTTP/1.1 204");

    hop.lose(Loss::Answers);
    assert!(ask(&mut stream).is_err(), "an answer came through");
    assert_eq!(receiver.wait_for(2, LIMIT).len(), 2, "the request did not");
    assert!(hop.lost() > 0);
    hop.heal();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(
        answer(&mut stream).unwrap(),
        "HTTP/1.1 204",
        "the same connection goes on"
    );

    hop.lose(Loss::Requests);
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    assert!(ask(&mut stream).is_err());
    assert_eq!(receiver.count(), 2, "a request came through");
    assert!(connect(&hop, receiver.port()).is_err(), "so did a new connection");
    hop.heal();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(answer(&mut stream).unwrap(), "HTTP/1.1 204");
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_reset_is_seen_by_who_speaks_and_one_port_does_not_concern_another() {
    let Some(hop) = hop("hop: reset") else { return };
    let (one, two) = (Receiver::start(), Receiver::start());
    let mut stream = connect(&hop, one.port()).unwrap();
    ask(&mut stream).unwrap();
    hop.lose_at(one.port(), Loss::Reset);
    let ended = ask(&mut stream).map_err(|e| e.kind());
    assert_eq!(ended, Err(ErrorKind::ConnectionReset));
    let refused = connect(&hop, one.port()).map(|_| ()).map_err(|e| e.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    assert_eq!(
        ask(&mut connect(&hop, two.port()).unwrap()).unwrap(),
        "HTTP/1.1 204"
    );
    hop.heal();
    assert_eq!(
        ask(&mut connect(&hop, one.port()).unwrap()).unwrap(),
        "HTTP/1.1 204"
    );
}

#[test]
fn a_cable_that_was_out_and_a_slow_link_keep_their_connections() {
    let Some(hop) = hop("hop: cable") else { return };
    let receiver = Receiver::start();
    let mut stream = connect(&hop, receiver.port()).unwrap();
    ask(&mut stream).unwrap();
    hop.unplug();
    assert!(ask(&mut stream).is_err());
    assert_eq!(receiver.count(), 1);
    hop.heal();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(answer(&mut stream).unwrap(), "HTTP/1.1 204");

    hop.slow(800);
    let began = Instant::now();
    let mut request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n".to_vec();
    request.resize(request.len() + 100_000, b'x');
    stream.write_all(&request).unwrap();
    answer(&mut stream).unwrap();
    // 100 kB at 100 kB/s, of which a burst passes at once.
    assert!(
        began.elapsed() > Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn nothing_of_it_is_left() {
    let Some(one) = hop("hop: its end") else { return };
    let two = Hop::new().unwrap();
    assert_ne!(one.host(), two.host());
    let list = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let all = || list("ip", &["netns", "list"]) + &list("ip", &["link"]) + &list("nft", &["list", "tables"]);
    let ours = format!("-{}-", std::process::id());
    let interface = format!("wo{}-", std::process::id());
    assert!(all().contains(&ours) && all().contains(&interface));
    // Other tests of this process have hops of their own.
    let of_one = format!("inet {}/30", one.host());
    drop((one, two));
    eventually("the end of the interfaces", LIMIT, || {
        (!list("ip", &["addr"]).contains(&of_one)).then_some(())
    });
}

#[test]
fn kafka_is_reached_through_it_and_names_it_to_its_clients() {
    let Some(hop) = hop("hop: Kafka") else { return };
    let (mut broker, far) = Broker::reserve_behind(&hop);
    broker.start();
    let topic = broker.topic("far", 1);
    Kafka::at(&far).produce(&[Record::to(&topic).value("far")]);
    hop.lose(Loss::Both);
    broker.produce(&[Record::to(&topic).value("near")]);
    hop.heal();
    assert_eq!(broker.drain(&topic).len(), 2);
}
