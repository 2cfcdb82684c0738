//! A fake broker that hands messages out as somebody who looks or takes expects it, word by word.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use tokio::net::TcpListener;
use weft_amqp_wire::message::MessageWriter;
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Symbol, Text};

use super::fake::{Fake, Stage};

const LIMIT: Duration = Duration::from_secs(60);
pub const COPY: Option<&str> = Some(distribution::COPY);
pub const MOVE: Option<&str> = Some(distribution::MOVE);

pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// A connection, up to its links; we ask for signs of life so often.
pub async fn welcome(listener: &TcpListener, idle: Option<u32>) -> Fake {
    let mut fake = within("a connection", Fake::accept(listener)).await;
    within("a header", fake.behave(Stage::Open)).await.unwrap();
    fake.say(&Open {
        container_id: Text::from_static("fake"),
        idle_time_out: idle,
        ..Open::default()
    })
    .await;
    within("a session", fake.until("begin")).await.unwrap();
    fake.say(&Begin {
        remote_channel: Some(0),
        incoming_window: 1000,
        outgoing_window: 1000,
        ..Begin::default()
    })
    .await;
    fake
}

/// The peer asks for its next link, which we say to hand out in this mode.
pub async fn attach(fake: &mut Fake, asked: &str, mode: Option<&'static str>) -> u32 {
    let Some(Performative::Attach(theirs)) = within("an attach", fake.until("attach")).await else {
        panic!("it is gone");
    };
    let source = theirs.source.as_ref().unwrap();
    assert_eq!(source.distribution_mode.as_ref().unwrap().as_str(), asked);
    assert_eq!(theirs.snd_settle_mode, SenderSettleMode::Unsettled);
    let mut answer = Attach::new(theirs.name.clone(), theirs.handle, Role::Sender);
    answer.source = Some(Source {
        distribution_mode: mode.map(Symbol::from_static),
        ..source.clone()
    });
    answer.target = Some(Target::default());
    answer.initial_delivery_count = Some(0);
    fake.say(&answer).await;
    theirs.handle
}

/// The peer drains a link: what it says.
pub async fn drains(fake: &mut Fake, handle: u32) -> Flow {
    loop {
        match within("a flow", fake.until("flow")).await {
            Some(Performative::Flow(flow)) if flow.handle == Some(handle) => {
                assert!(flow.drain);
                return flow;
            }
            Some(_) => {}
            None => panic!("it is gone"),
        }
    }
}

/// A step finds nothing: credit is given back, left standing a while, and given back again.
pub async fn nothing(fake: &mut Fake, flow: &Flow) {
    gives_back(fake, flow).await;
    loop {
        match within("a flow", fake.until("flow")).await {
            Some(Performative::Flow(stands)) if stands.handle == flow.handle => {
                assert_eq!((stands.drain, stands.link_credit), (false, flow.link_credit));
                break;
            }
            Some(_) => {}
            None => panic!("it is gone"),
        }
    }
    let flow = drains(fake, flow.handle.unwrap()).await;
    gives_back(fake, &flow).await;
}

/// All of its credit is used or given back.
pub async fn gives_back(fake: &mut Fake, flow: &Flow) {
    let count = flow.delivery_count.unwrap() + flow.link_credit.unwrap();
    fake.say(&Flow {
        next_incoming_id: Some(0),
        incoming_window: 1000,
        outgoing_window: 1000,
        handle: flow.handle,
        delivery_count: Some(count),
        link_credit: Some(0),
        drain: true,
        ..Flow::default()
    })
    .await;
}

pub fn message(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    MessageWriter::new(&mut out).value(text);
    out
}

pub async fn sends(fake: &mut Fake, handle: u32, number: u32, text: &str) {
    fake.send_by(handle, number, false, &message(text), 1 << 15).await;
}

/// A look is proven to be one: both of its links get the first message. The handle of the one that goes on.
pub async fn proves(fake: &mut Fake) -> u32 {
    let one = attach(fake, distribution::COPY, COPY).await;
    assert_eq!(drains(fake, one).await.link_credit, Some(1));
    sends(fake, one, 0, "first").await;
    let other = attach(fake, distribution::COPY, COPY).await;
    assert_eq!(drains(fake, other).await.link_credit, Some(1));
    sends(fake, other, 1, "first").await;
    one
}

/// What was said of the next delivery.
pub async fn disposition(fake: &mut Fake) -> (u32, Option<DeliveryState>) {
    match within("an answer", fake.until("disposition")).await {
        Some(Performative::Disposition(said)) => (said.first, said.state),
        other => panic!("{other:?}"),
    }
}

/// What was said of deliveries until the peer closes.
pub async fn dispositions(fake: &mut Fake) -> Vec<(u32, DeliveryState)> {
    let mut all = Vec::new();
    loop {
        match within("its words", fake.said()).await {
            Some(Performative::Disposition(said)) => {
                assert!(said.settled);
                let state = said.state.clone().unwrap();
                all.extend((said.first..=said.last.unwrap_or(said.first)).map(|n| (n, state.clone())));
            }
            Some(Performative::Flow(flow)) => assert_eq!(flow.handle, None, "no credit"),
            Some(Performative::Close(_)) | None => {
                fake.say(&Close::default()).await;
                return all;
            }
            Some(_) => {}
        }
    }
}
