//! Takes events out of a queue until each id has come, checks attributes and data, and says how fast they came.

use std::time::{Duration, Instant};

use clap::Parser;
use fe2o3_amqp::types::messaging::Data;
use tokio::time::timeout;
use weft_scenarios::amqp::{self, Credit, SETTLE};
use weft_scenarios::event::Seen;
use weft_scenarios::{Failure, event, tool};

/// How long it may stay silent before the run is given up.
const SILENCE: Duration = Duration::from_secs(60);

/// Counts the events of a queue.
#[derive(Parser)]
struct Args {
    /// `host:port` of the broker.
    #[arg(long)]
    broker: String,
    /// The queue.
    #[arg(long)]
    queue: String,
    /// How many events to wait for.
    #[arg(long)]
    events: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut open = amqp::open(&args.broker, "count").await?;
    let mut link = open.receiver(&args.queue).await?;
    tool::say("ready");

    let data = event::data();
    let (mut seen, mut records, mut changed) = (Seen::default(), 0_usize, 0_usize);
    let (mut credit, mut unsettled, mut began) = (Credit::default(), Vec::new(), None);
    while seen.count() + changed < args.events {
        credit.refill(&mut link, unsettled.len()).await?;
        let Ok(delivery) = timeout(SILENCE, link.recv::<Data>()).await else {
            return Err(format!("{} of {} events, then silence", seen.count(), args.events).into());
        };
        let (info, message) = delivery?.into_parts();
        credit.take();
        began.get_or_insert_with(Instant::now);
        records += 1;
        match amqp::number(&message, &data) {
            Some(number) => seen.add(number),
            None => changed += 1,
        }
        unsettled.push(info);
        if unsettled.len() >= SETTLE {
            link.accept_all(std::mem::take(&mut unsettled)).await?;
        }
    }
    let took = began.map_or(Duration::ZERO, |began| began.elapsed());
    link.accept_all(unsettled).await?;
    link.close().await?;
    let rate = seen.count() as f64 / took.as_secs_f64();
    tool::say(&format!(
        "rate={rate:.0} records={records} changed={changed} events={}",
        seen.count()
    ));
    Ok(())
}
