//! Sessions over their connections: taken over, forgotten, full, resumed.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use support::client::Client;
use support::fake::{Fake, Reply, connack, good};
use support::packet::{event_publish, message};
use support::tap::Tap;
use support::{soon, until};
use tokio::task::block_in_place;
use tokio::time::sleep;
use weft_api::event::Attributes;
use weft_api::ingress::Window;
use weft_api::outcome::Outcome;
use weft_api::status::Health;
use weft_conformance::events::{plain, with_data};
use weft_conformance::harness::{EgressDesk, IngressDesk};
use weft_rig::{Mosquitto, Relay, unique};

/// A session that the broker hands to and fro is named in the log, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_with_one_id_are_told_once() {
    let topic = unique("taken");
    let section = json!({ "url": Mosquitto::shared().url(), "subscribe": [topic], "client_id": topic });
    let desks = [0, 1].map(|_| IngressDesk::start(support::ingress(&section, None), None));
    let told = |desk: &IngressDesk| {
        desk.warnings()
            .iter()
            .filter(|line| line.contains("another client"))
            .count()
    };
    until("it is told", || desks.iter().map(told).sum::<usize>() > 0).await;
    sleep(Duration::from_secs(2)).await;
    for desk in &desks {
        assert!(told(desk) <= 1, "{:?}", desk.warnings());
        assert!(!desk.has_ended());
    }
    let line = desks
        .iter()
        .flat_map(IngressDesk::warnings)
        .find(|line| line.contains("another client"));
    assert!(line.unwrap().contains(&format!("`{topic}`")));
    for desk in desks {
        soon("it stops", desk.close()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_of_3_1_1_that_closes_within_moments_is_told_once() {
    let fake = Fake::start(|_, packet| Reply {
        close: packet.kind() == 8,
        ..good(false, packet, &[])
    })
    .await;
    let section = json!({ "url": fake.url(), "version": "3.1.1", "subscribe": ["a"], "client_id": "me" });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    until("it is tried again and again", || fake.connections() > 5).await;
    let told: Vec<String> = desk
        .warnings()
        .into_iter()
        .filter(|line| line.contains("within moments"))
        .collect();
    assert!(told.len() == 1 && told[0].contains("`me`"), "{told:?}");
    soon("it stops", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_broker_forgot_is_subscribed_anew_and_told() {
    for five in [true, false] {
        let topic = unique("wiped");
        let version = if five { "5" } else { "3.1.1" };
        let port = block_in_place(|| Mosquitto::shared().port());
        let section = json!({
            "url": Mosquitto::shared().url(), "version": version, "subscribe": [topic], "client_id": topic,
        });
        let desk = IngressDesk::start(support::ingress(&section, None), None);
        until("it is ready", || desk.health() == Health::Ready).await;
        // Another client under this id, which wants nothing of what was: the broker throws the session away.
        block_in_place(|| Client::connect(port, five, &topic, true).disconnect());
        until("it is told", || {
            desk.warnings()
                .iter()
                .any(|line| line.contains("has forgotten the session"))
        })
        .await;
        until("it is ready", || desk.health() == Health::Ready).await;
        block_in_place(|| {
            let mut client = Client::connect(port, five, &unique("publisher"), true);
            client.publish_all(&topic, 1, &[plain("after")]);
        });
        let came = soon("what comes after it comes in", desk.accept(1)).await;
        assert_eq!(came[0].event.id(), "after");
        soon("it stops", desk.close()).await.unwrap();
    }
}

/// 3.1.1 has no Receive Maximum: past the window the connection ends, and the broker keeps the session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_3_1_1_past_its_window_leaves_and_comes_back_when_there_is_room() {
    let fake = Fake::start(|number, packet| {
        let events: Vec<u8> = (1..=20)
            .flat_map(|id| event_publish(false, 1, "a", id, &plain(&id.to_string())))
            .collect();
        match packet.kind() {
            1 => connack(false, number > 0, 0).into(),
            // The second time the session is there, and nobody subscribes.
            12 if number > 0 => vec![0xd0, 0].into(),
            _ => good(false, packet, &events),
        }
    })
    .await;
    let window = Some(Window {
        events: 4,
        bytes: 1 << 20,
    });
    let section = json!({ "url": fake.url(), "version": "3.1.1", "subscribe": ["a"] });
    let desk = IngressDesk::start(support::ingress(&section, window), window);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(soon("a message comes in", desk.next()).await);
    }
    until("it leaves", || fake.count(14) == 1).await;
    assert!(matches!(desk.health(), Health::Waiting(line) if line.contains("past its window")));
    desk.settle(held.remove(0), Outcome::Accepted);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(
        (fake.connections(), fake.count(4)),
        (1, 0),
        "there is no room yet"
    );
    desk.settle(held.remove(0), Outcome::Accepted);
    until("it comes back", || fake.connections() == 2).await;
    assert_eq!(desk.overdelivered(), 0);
    assert!(desk.try_next().await.is_none());
    assert_eq!(
        fake.count(4),
        0,
        "nothing of the first connection is acknowledged on the second"
    );
    soon("it stops", desk.close()).await.unwrap();
}

/// QoS 2 is the session's: what was released goes on where it was, and what was not recorded is sent again with DUP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_2_goes_on_over_a_new_connection() {
    let fake = Fake::start(|number, packet| match (number, packet.kind()) {
        (_, 1) => connack(true, number > 0, 0).into(),
        // The first of them is recorded, and the connection ends at its release.
        (0, 3) if message(true, packet).id == 1 => vec![0x50, 2, 0, 1].into(),
        (0, 6) => Reply {
            close: true,
            ..Reply::default()
        },
        (1, 3) => {
            let [high, low] = message(true, packet).id.to_be_bytes();
            vec![0x50, 2, high, low].into()
        }
        (1, 6) => vec![0x70, 2, packet.body[0], packet.body[1]].into(),
        _ => Reply::default(),
    })
    .await;
    let section = json!({ "url": fake.url(), "topic": "a", "qos": 2, "timeout": "10s" });
    let desk = EgressDesk::start(support::egress(&section));
    let fates = soon("both are settled", desk.send(&[plain("1"), plain("2")])).await;
    assert!(
        fates.iter().all(weft_conformance::harness::Fate::is_accepted),
        "{fates:?}"
    );
    let second: Vec<(u8, u16)> = fake
        .packets()
        .iter()
        .filter(|(number, packet)| *number == 1 && packet.kind() != 1)
        .map(|(_, packet)| match packet.kind() {
            3 => (packet.first, message(true, packet).id),
            _ => (packet.first, packet.id()),
        })
        .collect();
    assert_eq!(
        second[..2],
        [(0x62, 1), (0x3c, 2)],
        "the release first, then the message with DUP"
    );
    soon("it stops", desk.close()).await.unwrap();
}

/// The first connection of a process begins anew, a later one goes on; what the broker forgot is given back, not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_forgotten_session_held_is_given_back_as_perhaps_delivered() {
    let fake = Fake::start(|number, packet| match packet.kind() {
        1 => connack(true, false, 0).into(),
        3 if number == 0 => Reply {
            close: true,
            ..Reply::default()
        },
        _ => Reply::default(),
    })
    .await;
    let section = json!({ "url": fake.url(), "topic": "a", "qos": 2, "timeout": "20s" });
    let desk = EgressDesk::start(support::egress(&section));
    let fates = soon("it is settled", desk.send(&[plain("1")])).await;
    let error = fates[0].error();
    assert!(
        error.maybe_delivered && error.detail.contains("forgotten the session"),
        "{error}"
    );
    let flags: Vec<u8> = fake
        .packets()
        .iter()
        .filter(|(_, p)| p.kind() == 1)
        .map(|(_, p)| p.body[7])
        .collect();
    assert_eq!(flags[..2], [0b10, 0], "clean start, then not");
    soon("it stops", desk.stop()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_2_comes_in_once_and_is_completed() {
    let topic = unique("exactly");
    // Not the shared one, which writes everything down at each change: it may be slow to take a goodbye.
    let mut broker = block_in_place(|| Mosquitto::reserve_with("autosave_on_changes false"));
    block_in_place(|| broker.start());
    let port = broker.port();
    let section = json!({ "url": broker.url(), "subscribe": [topic], "qos": 2, "client_id": topic });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    until("it is ready", || desk.health() == Health::Ready).await;
    let events: Vec<_> = (0..100).map(|id| plain(&id.to_string())).collect();
    block_in_place(|| {
        Client::connect(port, true, &unique("publisher"), true).publish_all(&topic, 2, &events)
    });
    let came = soon("all come in", desk.accept(100)).await;
    let ids: Vec<&str> = came.iter().map(|incoming| incoming.event.id()).collect();
    assert_eq!(ids, (0..100).map(|id| id.to_string()).collect::<Vec<_>>());
    soon("it stops", desk.close()).await.unwrap();
    // At most releases are still under way: the session has no message.
    let mut client = block_in_place(|| Client::connect(port, true, &topic, false));
    assert!(client.session_present);
    block_in_place(|| {
        client.send(&[0xc0, 0]);
        let kinds: Vec<u8> = std::iter::from_fn(|| Some(client.next().unwrap().kind()))
            .take_while(|kind| *kind != 13)
            .collect();
        assert!(kinds.iter().all(|kind| *kind == 6), "{kinds:?}");
    });
}

/// Nobody acknowledges QoS 0: it has a lane of its own, and what finds no credit is shed and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_0_is_shed_without_credit_and_counted() {
    let fake = Fake::start(|_, packet| {
        let events: Vec<u8> = (1..=10)
            .flat_map(|id| event_publish(true, 0, "a", 0, &plain(&id.to_string())))
            .collect();
        good(true, packet, &events)
    })
    .await;
    let window = Some(Window {
        events: 4,
        bytes: 1 << 20,
    });
    let section = json!({ "url": fake.url(), "subscribe": ["a"] });
    let desk = IngressDesk::start(support::ingress(&section, window), window);
    for _ in 0..4 {
        let admitted = soon("a message comes in", desk.next()).await;
        assert_eq!(&*admitted.lane, "test/qos0");
    }
    until("the rest is shed", || desk.dropped("qos0") == 6).await;
    assert_eq!(desk.overdelivered(), 0);
    soon("it stops", desk.close()).await.unwrap();
}

/// TLS and passwords of a real broker, in and out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_passwords_open_the_way_and_wrong_ones_are_told() {
    let broker = block_in_place(Mosquitto::shared);
    let ca = weft_rig::tls::ca();
    let topic = unique("tls");
    let secure = json!({ "url": format!("mqtts://localhost:{}", broker.tls_port()), "topic": topic, "tls": { "ca": ca } });
    let auth = json!({ "user": weft_rig::mosquitto::USER, "password": weft_rig::mosquitto::PASSWORD });
    let url = format!("mqtt://127.0.0.1:{}", broker.password_port());
    let inward = json!({ "url": url, "subscribe": [topic], "auth": auth, "client_id": topic });
    let desk = IngressDesk::start(support::ingress(&inward, None), None);
    until("it is ready", || desk.health() == Health::Ready).await;
    let out = EgressDesk::start(support::egress(&secure));
    let fates = soon("it is settled", out.send(&[plain("1")])).await;
    assert!(fates[0].is_accepted(), "{:?}", fates[0]);
    soon("it comes in", desk.accept(1)).await;
    soon("it stops", desk.close()).await.unwrap();
    soon("it stops", out.close()).await.unwrap();

    let wrong = json!({ "url": url, "subscribe": [topic], "auth": { "user": "weft", "password": "no" } });
    let refused = support::ingress(&wrong, None).probe().await.unwrap_err();
    assert!(refused.to_string().contains("auth"), "{refused}");
    support::ingress(&inward, None).probe().await.unwrap();
    support::egress(&secure).probe().await.unwrap();
    let stranger =
        json!({ "url": secure["url"], "topic": topic, "tls": { "ca": weft_rig::tls::other_ca() } });
    let refused = support::egress(&stranger).probe().await.unwrap_err();
    assert_eq!(
        refused.reason,
        weft_api::outcome::Reason::Unauthorised,
        "{refused}"
    );
}

/// Sessions divide the messages of a shared subscription: each comes once, to one lane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_sessions_divide_the_messages() {
    let topic = unique("shared");
    let port = block_in_place(|| Mosquitto::shared().port());
    let section = json!({
        "url": Mosquitto::shared().url(), "subscribe": [topic], "sessions": 3, "client_id": topic, "share": topic,
    });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    until("it is ready", || desk.health() == Health::Ready).await;
    assert_eq!(desk.open_lanes(), 3);
    let events: Vec<_> = (0..300).map(|id| plain(&id.to_string())).collect();
    block_in_place(|| {
        Client::connect(port, true, &unique("publisher"), true).publish_all(&topic, 1, &events)
    });
    let (mut ids, mut lanes) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..300 {
        let admitted = soon("a message comes in", desk.next()).await;
        lanes.insert(admitted.lane.to_string());
        assert!(ids.insert(admitted.incoming.event.id().to_owned()), "each once");
        desk.settle(admitted, Outcome::Accepted);
    }
    let expected = ["test", "test/1", "test/2"].map(str::to_owned);
    assert_eq!(lanes, BTreeSet::from(expected));
    soon("it stops", desk.close()).await.unwrap();
}

/// QoS 0 counts as delivered once the socket has it, to a destination that may lose.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn qos_0_goes_out_to_a_destination_that_may_lose() {
    let fake = Fake::start(|_, packet| good(true, packet, &[])).await;
    let section = json!({ "url": fake.url(), "topic": "a", "qos": 0 });
    let desk = EgressDesk::start(support::egress(&section));
    let events: Vec<_> = (0..200).map(|id| plain(&id.to_string())).collect();
    let fates = soon("all are settled", desk.send(&events)).await;
    assert!(fates.iter().all(weft_conformance::harness::Fate::is_accepted));
    until("all arrive", || fake.count(3) == 200).await;
    soon("it stops", desk.close()).await.unwrap();
}

/// A retained message is told as such, and a mere reconnect does not bring it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retained_message_comes_at_the_subscription_and_not_at_a_reconnect() {
    let topic = unique("retained");
    let port = block_in_place(|| Mosquitto::shared().port());
    let tap = Tap::to(port, true).await;
    let mut relay = block_in_place(|| Relay::to(tap.port));
    block_in_place(|| {
        // An empty payload would delete what is retained.
        let kept = with_data("kept", "text/plain", "x".into());
        let mut bytes = event_publish(true, 1, &topic, 1, &kept);
        bytes[0] |= 1;
        Client::connect(port, true, &unique("publisher"), true).publish(&bytes, 1);
    });
    let section =
        json!({ "url": format!("mqtt://{}", relay.address()), "subscribe": [topic], "client_id": topic });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let came = soon("it comes in", desk.accept(1)).await;
    assert_eq!(came[0].event.get("weftretained").unwrap().text, "true");
    until("it is ready", || desk.health() == Health::Ready).await;
    until("the broker is told", || tap.acknowledged() == 1).await;
    block_in_place(|| {
        relay.cut();
        relay.heal();
    });
    until("it is lost", || desk.health() != Health::Ready).await;
    until("it is back", || desk.health() == Health::Ready).await;
    let publisher = || Client::connect(port, true, &unique("publisher"), true);
    block_in_place(|| publisher().publish_all(&topic, 1, &[plain("after")]));
    let came = soon("it comes in", desk.accept(1)).await;
    assert_eq!(came[0].event.id(), "after");
    soon("it stops", desk.close()).await.unwrap();
}
