//! The choice of one member of an anycast. Pure arithmetic: no clock, no randomness, no state but the turn it is given.

use super::plan::{Anycast, KeyRule, Policy};

/// Something that has a key: the event, in life.
pub trait Keyed {
    /// The key under a rule; `None` where there is none.
    fn key(&self, rule: &KeyRule) -> Option<&[u8]>;
}

impl Keyed for weft_api::event::Event {
    fn key(&self, rule: &KeyRule) -> Option<&[u8]> {
        rule.of(self)
    }
}

/// Chooses among the members that `eligible` admits; `None` where it admits none.
pub(super) fn choose(
    any: &Anycast,
    turn: u32,
    key: &dyn Keyed,
    pending: &dyn Fn(usize) -> u64,
    eligible: &dyn Fn(usize) -> bool,
) -> Option<usize> {
    match any.policy {
        Policy::RoundRobin => in_turn(any.members.len(), turn, eligible),
        Policy::Weighted => weighted(any, turn, eligible),
        Policy::LeastPending => least_pending(any, turn, pending, eligible),
        Policy::Hash => match key.key(&any.key) {
            Some(key) => by_hash(any, hash(key), eligible),
            None => in_turn(any.members.len(), turn, eligible),
        },
    }
}

/// The order in which weighted members take their turns: spread out, not in blocks (smooth weighted round robin).
/// Weights are scaled down where their sum is larger than 1,024.
#[must_use]
pub fn smooth_sequence(weights: &[u32]) -> Box<[u8]> {
    const TURNS_MAX: u64 = 1024;
    let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
    let scale = sum.div_ceil(TURNS_MAX).max(1);
    let weights: Vec<i64> = weights
        .iter()
        .map(|w| i64::try_from((u64::from(*w) / scale).max(1)).unwrap_or(1))
        .collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0i64; weights.len()];
    let mut sequence = Vec::new();
    for _ in 0..total {
        for (value, weight) in current.iter_mut().zip(&weights) {
            *value += weight;
        }
        let (at, _) = current
            .iter()
            .enumerate()
            .max_by_key(|(at, value)| (**value, usize::MAX - at))
            .unwrap_or((0, &0));
        current[at] -= total;
        sequence.push(u8::try_from(at).unwrap_or(u8::MAX));
    }
    sequence.into_boxed_slice()
}

/// A hash that is the same in every process and release: FNV-1a, then a finaliser so that near keys fall apart.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
        (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(folded)
}

fn mix(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

fn in_turn(len: usize, turn: u32, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
    (0..len)
        .map(|step| (turn as usize + step) % len)
        .find(|at| eligible(*at))
}

fn weighted(any: &Anycast, turn: u32, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
    let len = any.sequence.len();
    (0..len)
        .map(|step| usize::from(any.sequence[(turn as usize + step) % len]))
        .find(|at| eligible(*at))
}

fn least_pending(
    any: &Anycast,
    turn: u32,
    pending: &dyn Fn(usize) -> u64,
    eligible: &dyn Fn(usize) -> bool,
) -> Option<usize> {
    let len = any.members.len();
    // Compared as fractions, pending / weight, without dividing; among equals the turn decides.
    (0..len)
        .map(|step| (turn as usize + step) % len)
        .filter(|at| eligible(*at))
        .map(|at| (at, u128::from(pending(at)), u128::from(any.members[at].weight)))
        .reduce(|best, next| {
            if next.1 * best.2 < best.1 * next.2 {
                next
            } else {
                best
            }
        })
        .map(|(at, _, _)| at)
}

/// Weighted rendezvous hashing: each member scores the key on its own, so that a member that leaves moves only its
/// own keys, and they come back with it.
fn by_hash(any: &Anycast, key: u64, eligible: &dyn Fn(usize) -> bool) -> Option<usize> {
    (0..any.members.len())
        .filter(|at| eligible(*at))
        .map(|at| (at, score(key, any.members[at].seed, any.members[at].weight)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(at, _)| at)
}

#[allow(clippy::cast_precision_loss)]
fn score(key: u64, seed: u64, weight: u32) -> f64 {
    // 53 random bits as a number in (0, 1); -weight / ln of it is largest with a probability in proportion to weight.
    let unit = ((mix(key ^ seed) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -f64::from(weight) / unit.ln()
}
