//! Subscribes to a topic, takes events until each id has come, checks attributes and data, and says how fast they came.

use std::time::{Duration, Instant};

use clap::Parser;
use rumqttc::{Event, Packet, QoS, SessionMode};
use tokio::time::timeout;
use weft_scenarios::event::Seen;
use weft_scenarios::mqtt::{self, SILENCE};
use weft_scenarios::{Failure, event, tool};

/// Counts the events of a topic.
#[derive(Parser)]
struct Args {
    /// The broker's port on loopback.
    #[arg(long)]
    port: u16,
    /// The topic.
    #[arg(long)]
    topic: String,
    /// How many events to wait for.
    #[arg(long)]
    events: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let (client, mut events) = mqtt::client(mqtt::options(args.port, "count", SessionMode::Clean));
    client.subscribe(args.topic.as_str(), QoS::AtLeastOnce).await?;

    let data = event::data();
    let (mut seen, mut records, mut changed) = (Seen::default(), 0_usize, 0_usize);
    let mut began = None;
    while seen.count() + changed < args.events {
        let Ok(event) = timeout(SILENCE, events.poll()).await else {
            return Err(format!("{} of {} events, then silence", seen.count(), args.events).into());
        };
        let message = match event? {
            Event::Incoming(Packet::Publish(message)) => message,
            Event::Incoming(Packet::SubAck(_)) => {
                tool::say("ready");
                continue;
            }
            _ => continue,
        };
        began.get_or_insert_with(Instant::now);
        records += 1;
        match mqtt::number(&message, &data) {
            Some(number) => seen.add(number),
            None => changed += 1,
        }
    }
    let took = began.map_or(Duration::ZERO, |began| began.elapsed());
    let rate = seen.count() as f64 / took.as_secs_f64();
    tool::say(&format!(
        "rate={rate:.0} records={records} changed={changed} events={}",
        seen.count()
    ));
    Ok(())
}
