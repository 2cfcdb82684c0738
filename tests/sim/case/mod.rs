//! One simulated case: setups, a load and the trouble that befalls it, all drawn from one seed.
//!
//! Pure data: `world` builds it, `oracle` judges by it. Everything that the oracle needs to know of a route or a plan
//! stands here in the plainest form, not in the router's.

mod load;
mod reload;
mod setup;
mod store;
mod trouble;

use std::time::Duration;

use fastrand::Rng;
use weft_inproc::Faults;

pub(crate) use load::{Load, event_of, key_of};
pub(crate) use setup::{
    DestinationCase, GroupCase, GroupKind, IngressCase, PaceCase, Part, RouteCase, Setup, Stray,
};
pub(crate) use store::{DeskOrder, LogCase, StoreCase};
pub(crate) use trouble::{Fault, Reload, Trouble};

/// When the trouble is over and everything heals.
pub(crate) const HEALED: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    /// The first is started with; reloads bring the others. The last is where everything can heal.
    pub(crate) setups: Vec<Setup>,
    /// How each sink answers while nothing else befalls it.
    pub(crate) sinks: Vec<Faults>,
    /// In order of time.
    pub(crate) load: Vec<Load>,
    /// In order of time.
    pub(crate) trouble: Vec<Trouble>,
    /// What keeps events, if something does.
    pub(crate) store: Option<StoreCase>,
}

impl Case {
    pub(crate) fn new(seed: u64) -> Case {
        let mut rng = Rng::with_seed(seed);
        let mut first = Setup::draw(&mut rng);
        // Calm ones are half of the worth: what befalls the others must not be seen there.
        // Now and then nothing happens but that one sink is stuck: all others must not notice (C14).
        let still = rng.u32(0..6) == 0;
        let mut sinks: Vec<Faults> = (0..first.destinations.len())
            .map(|_| draw_faults(&mut rng, still))
            .collect();
        if !still && seed.is_multiple_of(8) {
            let at = rng.usize(0..sinks.len());
            sinks[at] = first.wear_out(at);
        }
        let load = load::draw(&mut rng, &first);
        let mut setups = vec![first];
        let trouble = if still {
            vec![trouble::one_is_stuck(&mut rng, setups[0].destinations.len())]
        } else {
            trouble::draw(&mut rng, &mut setups)
        };
        let mended = setups[setups.len() - 1].mended(&setups[0]);
        setups.push(mended);
        Case {
            seed,
            setups,
            sinks,
            load,
            trouble,
            store: None,
        }
    }

    /// The same with a store, and what befalls one.
    pub(crate) fn stored(seed: u64) -> Case {
        let mut case = Case::new(seed);
        store::add(&mut Rng::with_seed(!seed), &mut case);
        case
    }

    /// Every setup that has this destination, as it is there.
    pub(crate) fn destination(&self, at: usize) -> impl Iterator<Item = &DestinationCase> {
        self.setups
            .iter()
            .filter_map(move |setup| setup.destinations[at].as_ref())
    }

    /// Every setup that has this ingress, as it is there.
    pub(crate) fn ingress(&self, at: usize) -> impl Iterator<Item = &IngressCase> {
        self.setups
            .iter()
            .filter_map(move |setup| setup.ingresses[at].as_ref())
    }

    /// What stays the same of an ingress whatever the setup: how it settles, and how many lanes it has.
    pub(crate) fn kind(&self, ingress: usize) -> &IngressCase {
        self.setups[0].ingresses[ingress]
            .as_ref()
            .expect("the first setup has every ingress")
    }
}

pub(crate) fn ms(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

fn draw_faults(rng: &mut Rng, still: bool) -> Faults {
    if still || rng.u32(0..3) == 0 {
        return Faults {
            delay_max: ms(rng, 0..40),
            ..Faults::default()
        };
    }
    let mut some = |most: u32| if rng.bool() { rng.u32(0..most) } else { 0 };
    Faults {
        reject: some(40),
        fail: some(150),
        overloaded: some(30),
        unavailable: some(40),
        unauthorised: some(8),
        timeout: some(80),
        forget: some(30),
        panic: some(5),
        quit: some(5),
        delay_max: ms(rng, 0..80),
    }
}
