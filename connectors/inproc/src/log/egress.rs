//! The egress of `log`: one write and one flush a batch.
//!
//! Owns: nothing between batches. Invariant: one batch at a time, so that lines keep their order, and after a failed
//! write everything of that batch comes again (some of its lines may have got through).
//! Must not know: what a line looks like.

use std::io::{self, Write};
use std::sync::Arc;

use async_trait::async_trait;
use weft_api::egress::{Egress, EgressContext, EgressError, EgressProfile};
use weft_api::outcome::{Reason, SendError};
use weft_api::status::Health;

use super::line::{self, Mode};

/// Locks the stream for one write, so that a line is never cut by another writer of this process.
pub(super) type Output = Box<dyn Fn() -> Box<dyn Write> + Send + Sync>;

pub(super) struct LogEgress {
    output: Arc<Output>,
    name: String,
    mode: Mode,
    batch_bytes: u64,
}

impl LogEgress {
    pub(super) fn new(output: Output, name: String, mode: Mode, batch_bytes: u64) -> LogEgress {
        LogEgress {
            output: Arc::new(output),
            name,
            mode,
            batch_bytes,
        }
    }

    /// A pipe that nobody reads blocks its writer, so this is not done in the runtime's own threads.
    async fn write(&self, text: Vec<u8>) -> io::Result<()> {
        let output = Arc::clone(&self.output);
        let write = move || {
            let mut stream = output();
            stream.write_all(&text).and_then(|()| stream.flush())
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)?
    }
}

#[async_trait]
impl Egress for LogEgress {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: 256,
            batch_bytes: self.batch_bytes,
            in_flight: 256,
            keeps_order_or_fails: true,
        }
    }

    async fn run(self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
        cx.report.health(Health::Ready);
        let stop = cx.stop.clone();
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.stopped() => return Ok(()),
                batch = cx.next_batch() => batch,
            };
            let Some(batch) = batch else { return Ok(()) };
            let mut text = Vec::new();
            for event in batch.events() {
                line::write(event, self.mode, &mut text);
            }
            let written = tokio::select! {
                biased;
                written = self.write(text) => written,
                // The batch is dropped: what the writer still gets through may come again.
                () = stop.stopped() => return Ok(()),
            };
            match written {
                Ok(()) => {
                    cx.report.health(Health::Ready);
                    batch.accept_all();
                }
                Err(error) => {
                    let detail = format!(
                        "writing to {}: {error}; is whoever reads it still there?",
                        self.name
                    );
                    cx.report.health(Health::Waiting(detail.clone()));
                    let error = SendError::destination(Reason::Unavailable, detail).maybe_delivered();
                    batch.fail_rest(&error);
                }
            }
        }
    }

    /// The stream is there from the start; only writing to it tells whether anybody reads.
    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use weft_api::event::{Event, EventBuilder};
    use weft_conformance::harness::{EgressDesk, Fate};

    use super::*;

    /// Takes `limit` bytes, then breaks like a pipe whose reader has gone.
    #[derive(Clone)]
    struct Pipe {
        text: Arc<Mutex<Vec<u8>>>,
        limit: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut text = self.text.lock().expect("nobody panics with it");
            if text.len() + bytes.len() > self.limit {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            text.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(limit: usize) -> (Arc<Mutex<Vec<u8>>>, EgressDesk) {
        let pipe = Pipe {
            text: Arc::default(),
            limit,
        };
        let text = Arc::clone(&pipe.text);
        let output: Output = Box::new(move || Box::new(pipe.clone()));
        (
            text,
            EgressDesk::start(Box::new(LogEgress::new(
                output,
                "stdout".to_owned(),
                Mode::Summary,
                1 << 20,
            ))),
        )
    }

    fn event(id: &str) -> Event {
        EventBuilder::new()
            .id(id)
            .source("/t")
            .ty("t")
            .build()
            .expect("a valid event")
    }

    #[tokio::test]
    async fn events_are_confirmed_once_their_lines_are_written_in_order() {
        let (text, desk) = start(1 << 20);
        assert!(
            desk.send(&[event("1"), event("2")])
                .await
                .iter()
                .all(Fate::is_accepted)
        );
        desk.close().await.expect("a clean close");
        let text = String::from_utf8(text.lock().expect("nobody panics with it").clone()).expect("text");
        assert_eq!(text, "t source=/t id=1 data=0 B\nt source=/t id=2 data=0 B\n");
    }

    #[tokio::test]
    async fn a_broken_pipe_is_the_destinations_fault_and_may_have_taken_some() {
        let (_, desk) = start(10);
        let fates = desk.send(&[event("1")]).await;
        let error = fates[0].error();
        assert_eq!(
            (error.fault, error.maybe_delivered),
            (weft_api::outcome::Fault::Destination, true)
        );
        assert!(
            error.detail.starts_with("writing to stdout: "),
            "{}",
            error.detail
        );
        desk.close().await.expect("a clean close");
    }
}
