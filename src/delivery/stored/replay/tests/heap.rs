//! What a destination holds, in memory, with the faults that a test arms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use weft_api::browse::{Browsable, Browse, BrowseError, Browser, Held};
use weft_api::connector::EgressBuilder;
use weft_api::egress::Egress;
use weft_api::event::Event;

use crate::testing::Remote;

/// Clones are the same heap.
#[derive(Clone, Default)]
pub(super) struct Heap(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    held: BTreeMap<u64, Event>,
    came: u64,
    faults: Faults,
    /// What one browser was told to remove, in order; what it does only when it is closed.
    removed: Vec<u64>,
    taking: u32,
    looking: u32,
}

/// What goes wrong from now on.
#[derive(Clone, Default)]
pub(super) struct Faults {
    /// It cannot be opened.
    pub(super) open: Option<&'static str>,
    /// It breaks once so many have been given.
    pub(super) next: Option<(usize, &'static str)>,
    /// It says nothing more once so many have been given.
    pub(super) hangs: Option<usize>,
    /// Nothing of what was removed is gone.
    pub(super) close: Option<&'static str>,
}

impl Heap {
    pub(super) fn put(&self, event: Event) {
        let mut state = self.0.lock().unwrap();
        let place = state.came * 10;
        state.came += 1;
        state.held.insert(place, event);
    }

    /// Takes what this remote is given, until so many have come.
    pub(super) async fn fill(&self, remote: &mut Remote, count: usize) {
        let mut came = 0;
        while came < count {
            let batch = remote.next().await;
            batch.events().iter().for_each(|event| self.put(event.clone()));
            came += batch.events().len();
            batch.accept_all();
        }
    }

    pub(super) fn fails(&self, faults: Faults) {
        self.0.lock().unwrap().faults = faults;
    }

    /// The ids of what is held, in order.
    pub(super) fn ids(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.held.values().map(|event| event.id().to_owned()).collect()
    }

    /// What was removed, whether that is done yet or not.
    pub(super) fn removed(&self) -> Vec<u64> {
        self.0.lock().unwrap().removed.clone()
    }

    /// Browsers that have not ended: those that take, those that look.
    pub(super) fn open(&self) -> (u32, u32) {
        let state = self.0.lock().unwrap();
        (state.taking, state.looking)
    }

    fn browser(&self, from: u64, takes: bool) -> Result<Box<dyn Browser>, BrowseError> {
        let mut state = self.0.lock().unwrap();
        if let Some(why) = state.faults.open {
            return Err(BrowseError(why.to_owned()));
        }
        *(if takes {
            &mut state.taking
        } else {
            &mut state.looking
        }) += 1;
        Ok(Box::new(Turn {
            heap: self.clone(),
            left: state.held.range(from..).map(|(place, _)| *place).collect(),
            given: BTreeSet::new(),
            removed: Vec::new(),
            takes,
        }))
    }
}

impl EgressBuilder for Heap {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Err("driven by hand".to_owned())
    }

    fn address(&self) -> String {
        "heap".to_owned()
    }

    fn browse(&self) -> Browsable {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Browse for Heap {
    async fn look(&self, from: u64) -> Result<Box<dyn Browser>, BrowseError> {
        self.browser(from, false)
    }

    async fn take(&self) -> Result<Box<dyn Browser>, BrowseError> {
        self.browser(0, true)
    }

    fn write_place(&self, place: u64) -> Option<String> {
        Some(format!("p/{place}"))
    }

    fn read_place(&self, text: &str) -> Result<u64, String> {
        let number = text.strip_prefix("p/").and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("{text:?} is no place; write p/10"))
    }

    fn address(&self) -> String {
        "heap".to_owned()
    }
}

/// As it stood when it was opened.
struct Turn {
    heap: Heap,
    left: VecDeque<u64>,
    given: BTreeSet<u64>,
    removed: Vec<u64>,
    takes: bool,
}

#[async_trait]
impl Browser for Turn {
    async fn next(&mut self, most: usize) -> Result<Vec<Held>, BrowseError> {
        let faults = self.heap.0.lock().unwrap().faults.clone();
        let given = self.given.len();
        let mut most = most.min(7);
        if let Some(end) = faults.hangs {
            most = most.min(end.saturating_sub(given));
            if most == 0 {
                std::future::pending::<()>().await;
            }
        }
        if let Some((end, why)) = faults.next {
            most = most.min(end.saturating_sub(given));
            if most == 0 {
                return Err(BrowseError(why.to_owned()));
            }
        }
        let state = self.heap.0.lock().unwrap();
        let places: Vec<u64> = self.left.drain(..most.min(self.left.len())).collect();
        self.given.extend(&places);
        let held = places.into_iter().filter_map(|place| {
            Some(Held {
                place,
                incoming: state.held.get(&place)?.clone().into(),
                at_ms: (place > 0).then_some(1_000_000 + place),
            })
        });
        Ok(held.collect())
    }

    fn remove(&mut self, place: u64) {
        assert!(self.takes, "whoever looks removes nothing");
        assert!(self.given.contains(&place), "{place} was not given");
        self.removed.push(place);
        self.heap.0.lock().unwrap().removed.push(place);
    }

    async fn close(self: Box<Self>) -> Result<(), BrowseError> {
        let mut state = self.heap.0.lock().unwrap();
        if let Some(why) = state.faults.close {
            return Err(BrowseError(why.to_owned()));
        }
        for place in &self.removed {
            state.held.remove(place);
        }
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.heap.0.lock().unwrap();
        *(if self.takes {
            &mut state.taking
        } else {
            &mut state.looking
        }) -= 1;
    }
}
