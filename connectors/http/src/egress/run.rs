//! The queue's way out: several batches at a time, each in a task of its own, the events of one batch in order.

use tokio::task::JoinSet;
use weft_api::egress::{Batch, EgressContext};
use weft_api::event::Event;
use weft_api::outcome::{Fault, Reason, SendError};
use weft_api::status::{Health, Reporter};

use super::sender::Sender;

/// Takes batches until there are no more or the router stops; at most `concurrency` at a time.
pub(super) async fn run(sender: Sender, concurrency: usize, mut cx: EgressContext) {
    // There is no connection to wait for: what the receiver is like shows with the first event.
    cx.report.health(Health::Ready);
    let mut under_way = JoinSet::new();
    let stop = cx.stop.clone();
    let mut stopped = std::pin::pin!(stop.stopped());
    loop {
        tokio::select! {
            biased;
            // Aborting what is under way drops its batches, which settles them as unknown.
            () = &mut stopped => return,
            Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            batch = cx.next_batch(), if under_way.len() < concurrency => match batch {
                Some(batch) => _ = under_way.spawn(deliver(sender.clone(), batch, cx.report.clone())),
                None => break,
            },
        }
    }
    tokio::select! {
        biased;
        () = &mut stopped => {}
        () = async { while under_way.join_next().await.is_some() {} } => {}
    }
}

async fn deliver(sender: Sender, batch: Batch, report: Reporter) {
    let result = match batch.events() {
        [event] => {
            let event = event.clone();
            let sent = sender.one(&event).await;
            let health = sent.as_ref().err().cloned();
            settle(batch, sent);
            health
        }
        _ => several(&sender, batch).await,
    };
    report.health(match result {
        Some(error) if is_away(&error) => Health::Waiting(error.detail.into()),
        _ => Health::Ready,
    });
}

fn settle(batch: Batch, sent: Result<(), SendError>) {
    match sent {
        Ok(()) => batch.accept_all(),
        Err(error) => batch.fail_rest(&error),
    }
}

/// Whether the receiver gives no answer at all.
fn is_away(error: &SendError) -> bool {
    matches!(
        error.reason,
        Reason::Unavailable | Reason::Reset | Reason::Timeout
    )
}

/// One request for all; where the answer blames an event, each is sent by itself, so that it takes no neighbour along.
async fn several(sender: &Sender, mut batch: Batch) -> Option<SendError> {
    let answer = match sender.several(batch.events()).await {
        Ok(answer) => answer,
        Err(error) => {
            batch.fail_rest(&error);
            return Some(error);
        }
    };
    if !answer.blames_event() {
        let judged = sender.judge(&answer);
        let error = judged.as_ref().err().cloned();
        settle(batch, judged);
        return error;
    }
    let events: Vec<Event> = batch.events().to_vec();
    let mut failed: Vec<&[u8]> = Vec::new();
    let mut last = None;
    for (index, event) in (0_u32..).zip(&events) {
        // Order within a key: what follows an event that comes again later must not pass it.
        if event.key().is_some_and(|key| failed.contains(&key)) {
            let detail = "not sent: an event of the same key before it failed and is tried again";
            batch.fail(index, SendError::destination(Reason::Unavailable, detail));
            continue;
        }
        match sender.one(event).await {
            Ok(()) => batch.accept(&[index]),
            Err(error) => {
                if error.fault != Fault::Event {
                    failed.extend(event.key());
                }
                batch.fail(index, error.clone());
                last = Some(error);
            }
        }
    }
    last
}
