//! The plain loop of Kafka to AMQP: headers become application properties, and an offset is stored once its message and all
//! before it are accepted. A thread polls librdkafka and hands over records; the loop sends and stores. No validation, no
//! retries, no metrics.

use clap::Parser;
use fe2o3_amqp::types::messaging::{ApplicationProperties, Data, Header, Message, Properties};
use fe2o3_amqp::types::primitives::SimpleValue;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::select;
use weft_scenarios::amqp::{self, PREFIX, SETTLE, WINDOW};
use weft_scenarios::consumer::Records;
use weft_scenarios::outbox::Outbox;
use weft_scenarios::{Failure, tool};

/// Copies records from a topic to a queue.
#[derive(Parser)]
struct Args {
    /// `host:port` of a Kafka broker.
    #[arg(long)]
    brokers: String,
    /// The topic to read.
    #[arg(long)]
    from: String,
    /// The consumer group.
    #[arg(long)]
    group: String,
    /// `host:port` of the AMQP broker.
    #[arg(long)]
    broker: String,
    /// The queue to write.
    #[arg(long)]
    to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut open = amqp::open(&args.broker, "copy").await?;
    let mut to = open.sender(&args.to).await?;
    let mut records = Records::read(&args.brokers, &args.from, &args.group, message)?;
    tool::say("ready");

    let mut outbox = Outbox::default();
    loop {
        let room = records.confirmed() < SETTLE;
        select! { biased;
            (outcome, place) = outbox.first(), if room => {
                amqp::accepted(outcome)?;
                records.confirm(place);
            }
            (message, place) = records.next(), if room && outbox.len() < WINDOW => {
                outbox.push(amqp::send(&mut to, message).await?, place);
            }
            () = std::future::ready(()), if records.confirmed() > 0 => records.store()?,
        }
    }
}

fn message(record: &BorrowedMessage<'_>) -> Message<Data> {
    let mut properties = Properties::builder();
    let mut attributes = ApplicationProperties::builder();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let text = String::from_utf8_lossy(header.value.unwrap_or_default());
        match header.key.strip_prefix("ce_") {
            Some(name) => {
                if name == "id" {
                    properties = properties.message_id(text.clone().into_owned());
                }
                let value = SimpleValue::String(text.into_owned());
                attributes = attributes.insert(format!("{PREFIX}{name}"), value);
            }
            None if header.key == "content-type" => properties = properties.content_type(&*text),
            None => {}
        }
    }
    if let Some(key) = record.key() {
        properties = properties.group_id(String::from_utf8_lossy(key).into_owned());
    }
    Message::builder()
        .header(Header::builder().durable(true).build())
        .properties(properties.build())
        .application_properties(attributes.build())
        .data(record.payload().unwrap_or_default().to_vec())
        .build()
}
