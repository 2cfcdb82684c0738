//! Events to topics of an MQTT 5 broker, a topic a flow, QoS 1. An event is promised on its PUBACK; what rumqttc has not
//! put on the wire yet waits in its request queue, so that the rate does not depend on the broker.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rumqttc::{AsyncClient, Event, EventLoop, Packet, PublishOptions, QoS, SessionMode};

use super::{Offering, Pace, Shape, TICK, complain};
use crate::books::{Answer, Books};
use crate::{Failure, mqtt};

/// What one sender works with.
struct Sending {
    client: AsyncClient,
    topics: Vec<String>,
    flows: Vec<usize>,
    shape: Shape,
    books: Arc<Books>,
    pace: Arc<Pace>,
}

/// Starts a sender of `flows`, each at the rate of the pace, to the topic of that flow.
#[must_use]
pub fn start(
    port: u16,
    topics: Vec<String>,
    flows: Vec<usize>,
    shape: &Shape,
    books: &Arc<Books>,
    pace: &Arc<Pace>,
) -> Offering {
    let name = format!("offer-{}", flows.first().copied().unwrap_or_default());
    let (shape, books, pace) = (shape.clone(), Arc::clone(books), Arc::clone(pace));
    Offering::spawn(move |stop| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = runtime.map_err(Failure::from).and_then(|runtime| {
            runtime.block_on(async {
                let (client, events) = mqtt::client(mqtt::options(port, &name, SessionMode::Clean));
                let sending = Sending {
                    client,
                    topics,
                    flows,
                    shape,
                    books,
                    pace,
                };
                sending.run(events, stop).await
            })
        });
        if let Err(error) = ended {
            complain("mqtt sender", &error);
        }
    })
}

impl Sending {
    /// Two loops side by side: rumqttc's is never dropped before it is over.
    async fn run(&self, events: EventLoop, stop: &AtomicBool) -> Result<(), Failure> {
        let open = RefCell::new(VecDeque::new());
        tokio::select! { biased;
            ended = self.confirm(events, &open) => ended,
            ended = self.offer(&open, stop) => ended,
        }
    }

    /// PUBACKs come in the order of the messages: [MQTT-4.6.0-2].
    async fn confirm(&self, mut events: EventLoop, open: &RefCell<VecDeque<usize>>) -> Result<(), Failure> {
        loop {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await?
                && let Some(number) = open.borrow_mut().pop_front()
            {
                self.books.answered(number, Answer::Accepted);
            }
        }
    }

    async fn offer(&self, open: &RefCell<VecDeque<usize>>, stop: &AtomicBool) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        let mut sent = 0;
        while !stop.load(Ordering::Acquire) {
            tick.tick().await;
            let due = self.pace.due(sent);
            sent += due;
            for _ in 0..due {
                for &flow in &self.flows {
                    let number = self.publish(flow).await?;
                    open.borrow_mut().push_back(number);
                }
            }
        }
        Ok(())
    }

    async fn publish(&self, flow: usize) -> Result<usize, Failure> {
        let number = self.books.offer(flow);
        let mut properties = mqtt::properties(number);
        for (name, value) in &mut properties.user_properties {
            if name == "type" {
                value.clone_from(&self.shape.kinds[flow]);
            }
        }
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let data = self.shape.data.clone();
        self.client
            .publish(self.topics[flow].as_str(), data, options)
            .await?;
        Ok(number)
    }
}
