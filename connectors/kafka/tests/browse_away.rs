//! Looking where the brokers are away, or where something is not ours to see.
#![allow(clippy::unwrap_used)]

mod support;

use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{LIMIT, egress_settings, node};
use weft_api::browse::{Browse, BrowseError, Browser, Held};
use weft_api::connector::Connector;
use weft_rig::{Broker, Kafka, Record, SCRAM, free_port, tls};

fn browse(section: &Value) -> Arc<dyn Browse> {
    let builder = weft_kafka::Kafka.egress(&node(section), &egress_settings());
    let builder = builder.unwrap().map_err(|f| format!("{f:?}")).unwrap();
    builder.browse().unwrap()
}

/// What has to come to an end, however that is.
async fn ends<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what)
        .await
        .expect("it waits for ever")
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn fill(broker: &Broker, topic: &str) {
    broker.create_topic(topic, 1, &[]);
    let records: Vec<Record> = (0..5).map(|n| Record::to(topic).value(n.to_string())).collect();
    broker.produce(&records);
}

async fn all(browser: &mut Box<dyn Browser>) -> Vec<Held> {
    let mut all = Vec::new();
    loop {
        let page = ends(browser.next(2)).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_not_there_are_named_in_bounded_time() {
    let brokers = format!("127.0.0.1:{}", free_port());
    let browse = browse(&json!({ "brokers": [brokers], "topic": "dead" }));
    for error in [ends(browse.look(0)).await.err(), ends(browse.take()).await.err()] {
        let error = error.unwrap().0;
        assert!(
            error.contains(&brokers) && error.contains("refused the connection"),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_ends_what_is_read_and_what_left_is_told() {
    let mut broker = aside(|| {
        let broker = Kafka::private();
        fill(&broker, "dead");
        broker
    })
    .await;
    let browse = browse(&json!({ "brokers": [broker.brokers()], "topic": "dead" }));
    let mut looker = opened(|| browse.look(0)).await;
    let mut taker = opened(|| browse.take()).await;
    let held = all(&mut taker).await;
    assert_eq!(held.len(), 5);
    broker.freeze();
    taker.remove(held[0].place);
    taker.remove(held[2].place);
    let error = ends(taker.close()).await.unwrap_err().0;
    assert!(
        error.contains("2 letters left") && error.contains("would come again"),
        "{error}"
    );
    let error = ends(async {
        loop {
            // Records may be here already.
            if let Err(error) = looker.next(1).await {
                return error.0;
            }
        }
    })
    .await;
    assert!(error.contains("does not answer"), "{error}");
    broker.thaw();
    let mut again = opened(|| browse.look(0)).await;
    let left = all(&mut again).await.len();
    assert!(
        left == 5 || left == 3,
        "the commit came through as a whole or not at all: {left}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_to_see_is_named_with_the_right_that_lacks() {
    let broker = Arc::new(
        aside(|| {
            let broker = Kafka::guarded();
            fill(&broker, "dead");
            broker
        })
        .await,
    );
    let allow = async |operation: &'static str, resource: &'static str, name: &'static str| {
        let broker = broker.clone();
        aside(move || broker.allow(operation, resource, name)).await;
    };
    let section = json!({
        "brokers": [broker.secure()],
        "tls": { "ca": tls::ca() },
        "auth": { "mechanism": "scram-sha-512", "user": SCRAM.0, "password": SCRAM.1 },
        "topic": "dead",
    });
    let browse = browse(&section);
    let topic = "topic `dead`; grant Describe and Read";
    let group = "group `weft-dlq-dead`, where is remembered what left topic `dead`; grant Read";
    refused(|| browse.look(0), topic).await;

    allow("Describe", "topic", "dead").await;
    let mut looker = opened(|| browse.look(0)).await;
    let error = ends(looker.next(1)).await.unwrap_err().0;
    assert!(error.contains(topic), "{error}");

    allow("Read", "topic", "dead").await;
    ends(async {
        loop {
            let mut looker = opened(|| browse.look(0)).await;
            if looker.next(1).await.is_ok() {
                return;
            }
        }
    })
    .await;
    let mut looker = opened(|| browse.look(0)).await;
    assert_eq!(all(&mut looker).await.len(), 5, "without the group, all is shown");
    refused(|| browse.take(), group).await;

    allow("Describe", "group", "weft-dlq-dead").await;
    refused(|| browse.take(), group).await;

    allow("Read", "group", "weft-dlq-dead").await;
    let mut taker = opened(|| browse.take()).await;
    let held = all(&mut taker).await;
    taker.remove(held[0].place);
    ends(taker.close()).await.unwrap();
    let mut looker = browse.look(0).await.unwrap();
    assert_eq!(all(&mut looker).await.len(), 4);
}

/// A right holds a moment after it was given, and a broker that has just begun, or stood still, serves a moment later.
async fn opened<F>(mut open: impl FnMut() -> F) -> Box<dyn Browser>
where
    F: Future<Output = Result<Box<dyn Browser>, BrowseError>>,
{
    ends(async {
        loop {
            if let Ok(opened) = open().await {
                return opened;
            }
        }
    })
    .await
}

async fn refused<F>(mut open: impl FnMut() -> F, why: &str)
where
    F: Future<Output = Result<Box<dyn Browser>, BrowseError>>,
{
    ends(async {
        loop {
            let error = open().await.err().expect("it is refused").0;
            if error.contains(why) {
                return;
            }
            assert!(error.contains("does not answer"), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named() {
    let broker = aside(|| {
        let broker = Kafka::private();
        fill(&broker, "dead");
        broker
    })
    .await;
    let section = json!({
        "brokers": [broker.secure()],
        "tls": { "ca": tls::ca() },
        "auth": { "mechanism": "scram-sha-512", "user": SCRAM.0, "password": "wrong" },
        "topic": "dead",
    });
    let error = ends(browse(&section).look(0)).await.err().unwrap().0;
    assert!(
        error.contains("refuses our credentials") && error.contains("check `auth`"),
        "{error}"
    );
    assert!(!error.contains("wrong"), "the password is told: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_take_less_metadata_are_given_less() {
    let broker = aside(|| {
        let broker = Kafka::private_with(&[("offset.metadata.max.bytes", "100")]);
        fill(&broker, "dead");
        let more: Vec<Record> = (5..200)
            .map(|n| Record::to("dead").value(n.to_string()))
            .collect();
        broker.produce(&more);
        broker
    })
    .await;
    let browse = browse(&json!({ "brokers": [broker.brokers()], "topic": "dead" }));
    let mut taker = browse.take().await.unwrap();
    let held = all(&mut taker).await;
    held.iter()
        .skip(1)
        .step_by(2)
        .for_each(|held| taker.remove(held.place));
    let error = ends(taker.close()).await.unwrap_err().0;
    let told: usize = error.split(' ').next().unwrap().parse().unwrap();
    assert!(error.contains("cannot be remembered") && told < 100, "{error}");
    let mut again = browse.look(0).await.unwrap();
    assert_eq!(all(&mut again).await.len(), 100 + told);
}
