//! Fills a session with events in binary mode, QoS 1: makes it for a client that is not there yet, then publishes, so that
//! the broker holds all of them when that client comes and nothing starves it.

use clap::Parser;
use rumqttc::{Event, Packet, PublishOptions, QoS, SessionMode};
use tokio::time::timeout;
use weft_scenarios::mqtt::{self, SILENCE, WINDOW};
use weft_scenarios::{Failure, event, tool};

/// Fills the session of a client.
#[derive(Parser)]
struct Args {
    /// The broker's port on loopback.
    #[arg(long)]
    port: u16,
    /// The client whose session it is.
    #[arg(long)]
    client: String,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// How many events.
    #[arg(long)]
    events: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    mqtt::reserve(args.port, &args.client, &args.topic).await?;
    let (client, mut events) = mqtt::client(mqtt::options(args.port, "fill", SessionMode::Clean));
    let data = event::data();
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < args.events {
        while sent < args.events && sent - confirmed < usize::from(WINDOW) {
            let options = PublishOptions::new(QoS::AtLeastOnce).properties(mqtt::properties(sent));
            client.publish(args.topic.as_str(), data.clone(), options).await?;
            sent += 1;
        }
        let Ok(event) = timeout(SILENCE, events.poll()).await else {
            return Err(format!("{confirmed} of {} events, then silence", args.events).into());
        };
        if let Event::Incoming(Packet::PubAck(_)) = event? {
            confirmed += 1;
        }
    }
    tool::say(&format!("delivered={confirmed}"));
    Ok(())
}
