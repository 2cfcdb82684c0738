//! Events to a queue by AMQP 1.0, durable. An event is promised once the broker has accepted it. The link's credit is what
//! the broker grants; a broker that grants none shows as events that are not sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Offering, Pace, Shape, TICK, complain};
use crate::books::{Answer, Books};
use crate::outbox::Outbox;
use crate::{Failure, amqp};

/// The most that is sent and not confirmed; beyond it events are counted as not sent.
const UNCONFIRMED_MAX: usize = 20_000;

/// Starts a sender of the one flow to a queue.
#[must_use]
pub fn start(
    address: String,
    queue: String,
    shape: &Shape,
    books: &Arc<Books>,
    pace: &Arc<Pace>,
) -> Offering {
    let (data, books, pace) = (shape.data.clone(), Arc::clone(books), Arc::clone(pace));
    Offering::spawn(move |stop| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let ended = runtime
            .map_err(Failure::from)
            .and_then(|runtime| runtime.block_on(run(&address, &queue, &data, &books, &pace, stop)));
        if let Err(error) = ended {
            complain("amqp sender", &error);
        }
    })
}

async fn run(
    address: &str,
    queue: &str,
    data: &[u8],
    books: &Books,
    pace: &Pace,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut open = amqp::open(address, "offer").await?;
    let mut link = open.sender(queue).await?;
    let mut tick = tokio::time::interval(TICK);
    let (mut sent, mut outbox) = (0, Outbox::default());
    while !stop.load(Ordering::Acquire) {
        tokio::select! { biased;
            // Both may be dropped at any time; an outcome frees room, so it comes first.
            (outcome, number) = outbox.first() => {
                let answer = if amqp::accepted(outcome).is_ok() { Answer::Accepted } else { Answer::Refused };
                books.answered(number, answer);
            }
            _ = tick.tick() => {
                let due = pace.due(sent);
                sent += due;
                for _ in 0..due {
                    if outbox.len() >= UNCONFIRMED_MAX {
                        books.unsent(1);
                        continue;
                    }
                    let number = books.offer(0);
                    outbox.push(amqp::send(&mut link, amqp::message(number, data)).await?, number);
                }
            }
        }
    }
    link.close().await?;
    Ok(())
}
