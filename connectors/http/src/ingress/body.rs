//! Reads a request's body within bounds: of one body, of all bodies being read, and of time.
//!
//! Invariants
//! - Nothing is allocated by what a client declares, only by what has arrived.
//! - What a body returns pins no read buffer that is much larger than itself.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

/// A body in one piece of at least this size is kept as it lies in the read buffer; a smaller one is copied out.
const KEEP_MIN: usize = 32 * 1024;
/// How much of a refused body is read and thrown away, so that the connection can be used again.
const DISCARD_MAX: usize = 256 * 1024;
/// How long that may take; well below the 50 ms within which an overloaded ingress answers.
const DISCARD_TIME: Duration = Duration::from_millis(20);

/// Why there is no body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum BodyError {
    /// More than the limit.
    TooLarge,
    /// Not complete in time.
    Slow,
    /// All bodies that are being read fill their share of the memory.
    NoRoom,
    /// The connection broke, or the framing is wrong.
    Broken(String),
    /// Not what its content coding says.
    Coding(String),
}

/// The bytes of all bodies that are being read by one ingress.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(super) fn new(max: u64) -> Budget {
        Budget {
            used: AtomicU64::new(0),
            max,
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.max;
        if !fits {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

/// What one body holds of the budget; given back when the body is complete, when its event is charged instead.
struct Share<'a> {
    budget: &'a Budget,
    taken: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// Reads the whole body, at most `limit` bytes of it.
pub(super) async fn read(
    body: Incoming,
    limit: u64,
    time: Duration,
    budget: &Budget,
) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match timeout(time, collect(body, limit, budget)).await {
        Ok(read) => read,
        Err(_) => Err(BodyError::Slow),
    }
}

async fn collect(mut body: Incoming, limit: u64, budget: &Budget) -> Result<Bytes, BodyError> {
    let mut share = Share { budget, taken: 0 };
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut size = 0_u64;
    while let Some(piece) = next_piece(&mut body).await? {
        size += piece.len() as u64;
        if size > limit {
            return Err(BodyError::TooLarge);
        }
        if !budget.take(piece.len() as u64) {
            return Err(BodyError::NoRoom);
        }
        share.taken += piece.len() as u64;
        if first.is_empty() && all.is_empty() {
            first = piece;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&piece);
        }
    }
    Ok(match first.len() {
        0 => fitting(all),
        1..KEEP_MIN => Bytes::copy_from_slice(&first),
        _ => first,
    })
}

/// The bytes without the room that was made for more: an event is charged what it has, and may stay for long.
fn fitting(all: BytesMut) -> Bytes {
    if all.capacity() - all.len() > all.len() / 8 {
        Bytes::copy_from_slice(&all)
    } else {
        all.freeze()
    }
}

/// The next data; trailers are not for us. `None` at the end.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Some(Err(error)) => return Err(BodyError::Broken(error.to_string())),
        }
    }
}

/// Reads a refused body to its end, within narrow bounds, so that its connection survives and the answer is read.
pub(super) async fn discard(mut body: Incoming) {
    let drained = async {
        let mut size = 0;
        while let Ok(Some(piece)) = next_piece(&mut body).await {
            size += piece.len();
            if size > DISCARD_MAX {
                break;
            }
        }
    };
    if !body_is_done(drained).await {
        tracing::trace!("closing a connection whose refused body did not end");
    }
}

/// What has arrived is read at once; the rest has a moment.
async fn body_is_done(drained: impl Future<Output = ()>) -> bool {
    let mut drained = std::pin::pin!(drained);
    let now = poll_fn(|cx| Poll::Ready(drained.as_mut().poll(cx).is_ready())).await;
    now || timeout(DISCARD_TIME, drained).await.is_ok()
}

/// Unpacks a gzip body, at most `limit` bytes of what it unpacks to.
pub(super) fn gunzip(packed: &Bytes, limit: u64) -> Result<Bytes, BodyError> {
    let mut out = Vec::with_capacity(
        packed
            .len()
            .saturating_mul(2)
            .min(usize::try_from(limit).unwrap_or(usize::MAX)),
    );
    let mut unpacked = MultiGzDecoder::new(&packed[..]).take(limit.saturating_add(1));
    unpacked
        .read_to_end(&mut out)
        .map_err(|error| BodyError::Coding(error.to_string()))?;
    if out.len() as u64 > limit {
        Err(BodyError::TooLarge)
    } else {
        Ok(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = packed(&vec![0; 10 * 1024 * 1024]);
        assert_eq!(gunzip(&bomb, 64 * 1024), Err(BodyError::TooLarge));
        assert_eq!(gunzip(&packed(&[7; 1000]), 1000).unwrap(), vec![7; 1000]);
        assert_eq!(gunzip(&packed(&[7; 1001]), 1000), Err(BodyError::TooLarge));
    }

    #[test]
    fn a_body_keeps_no_more_room_than_it_needs() {
        let mut all = BytesMut::with_capacity(1000);
        all.extend_from_slice(&[7; 100]);
        let kept = fitting(all).try_into_mut().unwrap();
        assert!(kept.len() == 100 && kept.capacity() < 200, "{}", kept.capacity());
        let mut all = BytesMut::with_capacity(1000);
        all.extend_from_slice(&[7; 990]);
        let at = all.as_ptr();
        assert_eq!(fitting(all).as_ptr(), at, "not copied for nothing");
    }

    #[test]
    fn what_is_no_gzip_is_named() {
        assert!(matches!(
            gunzip(&Bytes::from_static(b"{}"), 10),
            Err(BodyError::Coding(_))
        ));
    }

    #[test]
    fn the_budget_never_passes_its_bound_and_comes_back() {
        let budget = Budget::new(10);
        let share = Share {
            budget: &budget,
            taken: 8,
        };
        assert!(budget.take(8));
        assert!(!budget.take(3));
        assert!(budget.take(2));
        drop(share);
        assert!(budget.take(8));
        assert!(!budget.take(1));
    }
}
