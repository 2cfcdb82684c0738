//! The plain loop of MQTT to Kafka: user properties become headers, the payload the value, and a PUBACK is sent once the
//! record and all before it are delivered, in the order of receipt. One session. No validation, no retries, no metrics.

use clap::Parser;
use rdkafka::message::{Header, OwnedHeaders};
use rumqttc::{AckMode, AsyncClient, Event, ManualAck, Packet, Publish, QoS, SessionMode};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use weft_scenarios::producer::{self, Delivered};
use weft_scenarios::{Failure, event, mqtt, tool};

/// Copies messages from a session to a topic of Kafka.
#[derive(Parser)]
struct Args {
    /// The MQTT broker's port on loopback.
    #[arg(long)]
    port: u16,
    /// The client whose session it is.
    #[arg(long)]
    client: String,
    /// The topic filter.
    #[arg(long)]
    from: String,
    /// `host:port` of a Kafka broker.
    #[arg(long)]
    brokers: String,
    /// The topic to write.
    #[arg(long)]
    to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut options = mqtt::options(args.port, &args.client, SessionMode::Persistent);
    options.set_ack_mode(AckMode::Manual);
    let (client, mut events) = mqtt::client(options);
    let (producer, delivered) = producer::producer(&args.brokers)?;
    client.subscribe(args.from.as_str(), QoS::AtLeastOnce).await?;
    tool::say("ready");

    // No more than the receive maximum ever waits in here.
    let (received, acks) = mpsc::unbounded_channel();
    tokio::spawn(acknowledge(client.clone(), acks, delivered));
    let mut number = 0;
    loop {
        if let Event::Incoming(Packet::Publish(message)) = events.poll().await? {
            producer::send(&producer, &args.to, number, headers(&message), &message.payload)?;
            number += 1;
            if let Some(ack) = client.prepare_ack(&message) {
                received.send(ack)?;
            }
        }
    }
}

/// Acknowledges what is delivered, in the order of receipt.
async fn acknowledge(client: AsyncClient, mut acks: UnboundedReceiver<ManualAck>, delivered: Delivered) {
    let mut settled = 0;
    loop {
        let now = delivered.beyond(settled).await;
        for _ in settled..now {
            let Some(ack) = acks.recv().await else { return };
            if let Err(error) = client.try_manual_ack(ack) {
                tool::say(&format!("failed={error}"));
                std::process::exit(1);
            }
        }
        settled = now;
    }
}

fn headers(message: &Publish) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(event::ATTRIBUTES.len() + 2);
    let Some(properties) = &message.properties else {
        return headers;
    };
    for (name, value) in &properties.user_properties {
        headers = headers.insert(Header {
            key: &format!("ce_{name}"),
            value: Some(value),
        });
    }
    headers.insert(Header {
        key: "content-type",
        value: properties.content_type.as_ref(),
    })
}
