//! The plain loop of AMQP to Kafka: attributes become headers, data the value, and a delivery is accepted once it and all
//! before it are delivered. No validation, no retries, no metrics.

use std::collections::VecDeque;

use clap::Parser;
use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::types::messaging::{Data, Message};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::select;
use weft_scenarios::amqp::{self, Credit};
use weft_scenarios::producer;
use weft_scenarios::{Failure, event, tool};

/// Copies messages from a queue to a topic.
#[derive(Parser)]
struct Args {
    /// `host:port` of the AMQP broker.
    #[arg(long)]
    broker: String,
    /// The queue to read.
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
    let mut open = amqp::open(&args.broker, "copy").await?;
    let mut from = open.receiver(&args.from).await?;
    let (producer, delivered) = producer::producer(&args.brokers)?;
    tool::say("ready");

    let mut credit = Credit::default();
    let (mut sent, mut settled) = (VecDeque::new(), 0_usize);
    loop {
        credit.refill(&mut from, sent.len()).await?;
        select! { biased;
            now = delivered.beyond(settled) => {
                accept(&from, sent.drain(..now - settled)).await?;
                settled = now;
            }
            delivery = from.recv::<Data>(), if credit.any() => {
                let (info, message) = delivery?.into_parts();
                credit.take();
                let number = settled + sent.len();
                producer::send(&producer, &args.to, number, headers(&message), &message.body.0)?;
                sent.push_back(info);
            }
        }
    }
}

async fn accept(from: &Receiver, infos: impl Iterator<Item = DeliveryInfo>) -> Result<(), Failure> {
    Ok(from.accept_all(infos.collect::<Vec<_>>()).await?)
}

fn headers(message: &Message<Data>) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(event::ATTRIBUTES.len() + 2).insert(Header {
        key: "content-type",
        value: amqp::content_type(message),
    });
    amqp::attributes(message).fold(headers, |headers, (name, value)| {
        headers.insert(Header {
            key: &format!("ce_{name}"),
            value: Some(value),
        })
    })
}
