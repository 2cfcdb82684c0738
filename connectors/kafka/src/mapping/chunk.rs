//! Copies of payloads that share an allocation.
//!
//! librdkafka's memory must be given back soon, so a payload is copied once. Small ones share a chunk, so that a poll
//! costs few allocations; large ones have their own, so that a small event that is kept for long pins no more than
//! `CHUNK_BYTES`.

use bytes::{Bytes, BytesMut};

/// The size of a chunk, and so the most that one small payload can pin.
const CHUNK_BYTES: usize = 64 << 10;
/// From here on a payload has an allocation of its own.
const LARGE_BYTES: usize = 8 << 10;

/// The chunk that is being filled.
#[derive(Default)]
pub(crate) struct Chunk {
    room: BytesMut,
}

impl Chunk {
    /// A copy of `bytes`.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        if bytes.len() >= LARGE_BYTES {
            return Bytes::copy_from_slice(bytes);
        }
        if self.room.capacity() < bytes.len() {
            // Not `reserve`: that would move, and keep, what is left of the old chunk.
            self.room = BytesMut::with_capacity(CHUNK_BYTES);
        }
        self.room.extend_from_slice(bytes);
        self.room.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_equal_and_small_ones_share_a_chunk() {
        let mut chunk = Chunk::default();
        let (a, b) = (chunk.copy(b"abc"), chunk.copy(b"defg"));
        assert_eq!((&a[..], &b[..]), (&b"abc"[..], &b"defg"[..]));
        assert_eq!(a.as_ptr().wrapping_add(3), b.as_ptr());
    }

    #[test]
    fn a_full_chunk_is_followed_by_a_fresh_one() {
        let mut chunk = Chunk::default();
        let payload = vec![7; LARGE_BYTES - 1];
        let copies: Vec<Bytes> = (0..20).map(|_| chunk.copy(&payload)).collect();
        assert!(copies.iter().all(|copy| copy[..] == payload[..]));
        assert!(chunk.room.capacity() <= CHUNK_BYTES);
    }

    #[test]
    fn a_large_payload_shares_nothing() {
        let mut chunk = Chunk::default();
        let before = chunk.room.capacity();
        assert_eq!(chunk.copy(&vec![1; LARGE_BYTES]).len(), LARGE_BYTES);
        assert_eq!(chunk.room.capacity(), before);
        assert!(chunk.copy(b"").is_empty());
    }
}
