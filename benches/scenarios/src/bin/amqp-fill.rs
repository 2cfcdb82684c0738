//! Fills a queue with events in binary mode: six attributes as application properties, durable.

use clap::Parser;
use weft_scenarios::amqp::{self, WINDOW};
use weft_scenarios::outbox::Outbox;
use weft_scenarios::{Failure, event, tool};

/// Fills a queue.
#[derive(Parser)]
struct Args {
    /// `host:port` of the broker.
    #[arg(long)]
    broker: String,
    /// The queue.
    #[arg(long)]
    queue: String,
    /// How many events.
    #[arg(long)]
    events: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut open = amqp::open(&args.broker, "fill").await?;
    let mut link = open.sender(&args.queue).await?;
    let (data, mut outbox) = (event::data(), Outbox::default());
    for number in 0..args.events {
        while outbox.len() >= WINDOW {
            amqp::accepted(outbox.first().await.0)?;
        }
        outbox.push(amqp::send(&mut link, amqp::message(number, &data)).await?, ());
    }
    while !outbox.is_empty() {
        amqp::accepted(outbox.first().await.0)?;
    }
    link.close().await?;
    tool::say(&format!("delivered={}", args.events));
    Ok(())
}
