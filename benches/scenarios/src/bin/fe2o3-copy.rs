//! The plain loop of AMQP to AMQP: a message is received, the same sections are sent, and the source delivery is accepted
//! once the other queue has accepted. Credit by hand, deliveries settled in ranges, one thread: two cost a third more and
//! are no faster. No validation, no retries, no metrics.

use clap::Parser;
use fe2o3_amqp::types::messaging::Data;
use fe2o3_amqp::{Receiver, Sender};
use tokio::select;
use weft_scenarios::amqp::{self, Credit, SETTLE};
use weft_scenarios::outbox::Outbox;
use weft_scenarios::{Failure, tool};

/// Copies messages from one queue to another.
#[derive(Parser)]
struct Args {
    /// `host:port` of the broker.
    #[arg(long)]
    broker: String,
    /// The queue to read.
    #[arg(long)]
    from: String,
    /// The queue to write.
    #[arg(long)]
    to: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    tool::end_with_driver();
    let mut source = amqp::open(&args.broker, "copy-from").await?;
    let mut target = amqp::open(&args.broker, "copy-to").await?;
    let (from, to) = (source.receiver(&args.from).await?, target.sender(&args.to).await?);
    tool::say("ready");
    copy(from, to).await
}

async fn copy(mut from: Receiver, mut to: Sender) -> Result<(), Failure> {
    let mut outbox = Outbox::default();
    let (mut credit, mut accepted) = (Credit::default(), Vec::new());
    loop {
        credit.refill(&mut from, outbox.len() + accepted.len()).await?;
        select! { biased;
            // Both may be dropped at any time; an outcome frees credit, so it comes first.
            (outcome, info) = outbox.first(), if accepted.len() < SETTLE => {
                amqp::accepted(outcome)?;
                accepted.push(info);
            }
            delivery = from.recv::<Data>(), if credit.any() && accepted.len() < SETTLE => {
                let (info, message) = delivery?.into_parts();
                credit.take();
                outbox.push(amqp::send(&mut to, message).await?, info);
            }
            // Enough for one range, or nothing else to do.
            () = std::future::ready(()), if !accepted.is_empty() => {
                from.accept_all(std::mem::take(&mut accepted)).await?;
            }
        }
    }
}
