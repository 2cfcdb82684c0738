//! A fast hash for the index's own maps.
//!
//! Owns nothing but speed: multiply and rotate, eight bytes at a time. Its keys come from the rules that an operator
//! wrote and only look-ups come from events, so nobody can fill a bucket from outside; the standard library's keyed
//! hash, made for that danger, costs several times as much on short texts.

use std::hash::{BuildHasherDefault, Hasher};

pub(super) type Fast = BuildHasherDefault<FastHasher>;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FastHasher(u64);

/// An odd number without a pattern: the fraction of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        let mut last = [0; 8];
        let rest = words.remainder();
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64).rotate_left(56));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn write_u16(&mut self, word: u16) {
        self.mix(u64::from(word));
    }

    fn finish(&self) -> u64 {
        // The map takes its bucket from the low bits and its tag from the high ones: give it both well mixed.
        self.0 ^ (self.0 >> 32)
    }
}
