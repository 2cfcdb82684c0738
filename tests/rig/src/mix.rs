//! Answers in a mixture that a seed decides: the same seed gives the same answer to the same request at each of its
//! tries, whatever came between, so that a run can be had again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;

use crate::{Reply, Request};

/// A mixture of replies, each with its weight.
#[derive(Debug, Clone)]
pub struct Mix {
    seed: u64,
    parts: Vec<(u32, Reply)>,
    total: u32,
}

impl Mix {
    /// An empty mixture; it needs a part before it answers.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            parts: Vec::new(),
            total: 0,
        }
    }

    /// The same with one more reply, given in `weight` of all cases, measured by the sum of the weights.
    #[must_use]
    pub fn of(mut self, weight: u32, reply: Reply) -> Self {
        self.total += weight;
        self.parts.push((weight, reply));
        self
    }

    /// As a script for a [`Receiver`](crate::Receiver). Requests are told apart by `ce-id`, or else by their body.
    pub fn script(self) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
        assert!(self.total > 0, "a mixture of nothing");
        let tries: Mutex<HashMap<Vec<u8>, u64>> = Mutex::default();
        move |request| {
            let name = request.header("ce-id").map_or(&request.body[..], str::as_bytes);
            let mut tries = tries.lock().expect("no holder panics");
            let nth = match tries.entry(name.to_owned()) {
                Entry::Occupied(mut known) => {
                    *known.get_mut() += 1;
                    *known.get()
                }
                Entry::Vacant(new) => *new.insert(0),
            };
            self.choose(name, nth)
        }
    }

    fn choose(&self, name: &[u8], nth: u64) -> Reply {
        let start = mixed(self.seed ^ nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let hash = name
            .iter()
            .fold(start, |hash, byte| mixed(hash ^ u64::from(*byte)));
        let mut at = u32::try_from(hash % u64::from(self.total)).expect("less than a u32");
        for (weight, reply) in &self.parts {
            if at < *weight {
                return reply.clone();
            }
            at -= weight;
        }
        unreachable!("the weights sum up to the total")
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of the input.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_the_weights_are_kept() {
        let mix = |seed| {
            Mix::seeded(seed)
                .of(3, Reply::status(204))
                .of(1, Reply::status(500))
        };
        let status = |mix: &Mix, n: u32, nth| mix.choose(&n.to_be_bytes(), nth).code();
        let (one, two) = (mix(1), mix(2));
        let all = |mix: &Mix| (0..4000).map(|n| status(mix, n, 0)).collect::<Vec<_>>();
        assert_eq!(all(&one), all(&mix(1)));
        assert_ne!(all(&one), all(&two));
        let failed = all(&one).iter().filter(|status| **status == 500).count();
        assert!((800..1200).contains(&failed), "{failed} of 4000 at a quarter");
        // A request that failed once is not one that fails for ever.
        assert!((0..64).any(|nth| status(&one, 7, nth) == 204));
    }
}
