//! The plain loop of Kafka to MQTT: headers become user properties, each record is published with QoS 1, and an offset is
//! stored once its PUBACK and all before it have come. No validation, no retries, no metrics.

use clap::Parser;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rumqttc::{PublishOptions, PublishProperties, QoS, SessionMode};
use tokio::select;
use weft_scenarios::consumer::Records;
use weft_scenarios::mqtt::{self, WINDOW};
use weft_scenarios::outbox::Outbox;
use weft_scenarios::{Failure, tool};

/// Confirmed records whose offsets are stored at once, while there is more to do.
const STORE: usize = 128;

/// Copies records from a topic of Kafka to one of MQTT.
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
    /// The MQTT broker's port on loopback.
    #[arg(long)]
    port: u16,
    /// The topic to write.
    #[arg(long)]
    to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let (client, mut events) = mqtt::client(mqtt::options(args.port, &args.group, SessionMode::Clean));
    tokio::spawn(async move {
        while let Ok(_event) = events.poll().await {}
        tool::say("failed=the broker has gone");
        std::process::exit(1);
    });
    let mut records = Records::read(&args.brokers, &args.from, &args.group, message)?;
    tool::say("ready");

    let mut outbox = Outbox::default();
    loop {
        let room = records.confirmed() < STORE;
        select! { biased;
            (result, place) = outbox.first(), if room => {
                result?;
                records.confirm(place);
            }
            ((payload, options), place) = records.next(), if room && outbox.len() < usize::from(WINDOW) => {
                let notice = client.publish_tracked(args.to.as_str(), payload, options).await?;
                outbox.push(notice.wait_completion_async(), place);
            }
            () = std::future::ready(()), if records.confirmed() > 0 => records.store()?,
        }
    }
}

fn message(record: &BorrowedMessage<'_>) -> (Vec<u8>, PublishOptions) {
    let mut properties = PublishProperties::default();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let text = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
        match header.key.strip_prefix("ce_") {
            Some(name) => properties.user_properties.push((name.to_owned(), text)),
            None if header.key == "content-type" => properties.content_type = Some(text),
            None => {}
        }
    }
    let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
    (record.payload().unwrap_or_default().to_vec(), options)
}
