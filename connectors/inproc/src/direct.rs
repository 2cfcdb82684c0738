//! The sender in the caller's own task: one event, one answer, no batch.
//!
//! Must not know: the queue that other events take.

use std::sync::Arc;

use tokio::time::sleep;
use weft_api::egress::{DirectFactory, DirectSend, SendFuture};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};

use crate::answer::Act;
use crate::sink::Sink;

pub(crate) struct Direct {
    pub(crate) sink: Sink,
}

impl DirectFactory for Direct {
    fn open(&self) -> Arc<dyn DirectSend> {
        Arc::new(Direct {
            sink: self.sink.clone(),
        })
    }
}

impl DirectSend for Direct {
    fn send(&self, event: Event) -> SendFuture {
        let sink = self.sink.clone();
        Box::pin(async move {
            let (number, answer) = sink.attempt(&event, None);
            sleep(answer.after).await;
            let act = if answer.act == Act::Hang {
                hang(&sink).await
            } else {
                answer.act
            };
            if act.delivers() {
                sink.deliver(&event, act == Act::Accept);
            }
            sink.answered(number, act);
            match act {
                Act::Panic => panic!("inproc: the script makes this sender panic"),
                // There is no batch to forget it in, and no `run` to end: the connection breaks.
                Act::Forget { .. } | Act::Quit | Act::Hang => {
                    let detail = "inproc: the script broke the connection";
                    Err(SendError::destination(Reason::Reset, detail).maybe_delivered())
                }
                act => act.error().map_or(Ok(()), Err),
            }
        })
    }
}

async fn hang(sink: &Sink) -> Act {
    let (seen, _) = sink.let_go_count();
    let _hanging = sink.hang();
    sink.until(|sink| sink.let_go_count().0 != seen).await;
    sink.let_go_count().1
}
