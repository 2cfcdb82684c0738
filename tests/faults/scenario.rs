//! A row of the table: a flow, a fault, how often it strikes, and what it may cost in duplicates.

use std::sync::Arc;

use crate::flow::{End, Flow, STORE_WINDOW, WINDOW};
use crate::load::{CLIENTS, More};
use crate::run::Run;

/// What happens at one instant of a run. It returns when the fault is over.
pub(crate) type Strike = Arc<dyn Fn(&mut Run<'_>) + Send + Sync>;

/// Who runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Set {
    /// The tests of every change, and the long set.
    Always,
    /// The long set only.
    Long,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Scenario {
    /// The fault, as the table of results calls it.
    pub(crate) fault: String,
    pub(crate) flow: Flow,
    pub(crate) events: usize,
    /// How often it strikes.
    pub(crate) strikes: usize,
    pub(crate) set: Set,
    /// Changes the file and the environment before the router starts.
    pub(crate) prepare: Strike,
    pub(crate) strike: Strike,
    /// Looks at the end of a run for what else must hold; panics where it does not.
    pub(crate) check: Strike,
    /// Duplicates at one destination that each strike excuses.
    pub(crate) duplicates: usize,
    /// Whether the order of keys is judged, where the flow keeps it.
    pub(crate) is_ordered: bool,
    /// Records in front of an event, for a flow from Kafka.
    pub(crate) more: More,
}

impl Scenario {
    /// 20,000 events, one strike, in the long set.
    pub(crate) fn new(fault: impl Into<String>, flow: Flow) -> Scenario {
        // C4: what was unsettled, or with Kafka not committed. What an HTTP client did not know the ledger counts.
        let unsettled = match flow.from {
            End::Http => CLIENTS,
            End::Kafka | End::Amqp | End::Mqtt | End::Journal => WINDOW,
        };
        let duplicates = unsettled + if flow.stored { STORE_WINDOW } else { 0 };
        let nothing: Strike = Arc::new(|_| ());
        Scenario {
            fault: fault.into(),
            flow,
            events: 20_000,
            strikes: 1,
            set: Set::Long,
            prepare: Arc::clone(&nothing),
            strike: Arc::clone(&nothing),
            check: nothing,
            duplicates,
            is_ordered: true,
            more: |_, _| Vec::new(),
        }
    }

    /// In every set.
    pub(crate) fn always(mut self) -> Self {
        self.set = Set::Always;
        self
    }

    /// So many events.
    pub(crate) fn events(mut self, events: usize) -> Self {
        self.events = events;
        self
    }

    /// What happens, so often.
    pub(crate) fn strikes(
        mut self,
        times: usize,
        strike: impl Fn(&mut Run<'_>) + Send + Sync + 'static,
    ) -> Self {
        (self.strikes, self.strike) = (times, Arc::new(strike));
        self
    }

    /// What happens before the router starts.
    pub(crate) fn prepare(mut self, prepare: impl Fn(&mut Run<'_>) + Send + Sync + 'static) -> Self {
        self.prepare = Arc::new(prepare);
        self
    }

    /// What else must hold in the end.
    pub(crate) fn check(mut self, check: impl Fn(&mut Run<'_>) + Send + Sync + 'static) -> Self {
        self.check = Arc::new(check);
        self
    }

    /// Each strike excuses so many duplicates more at one destination.
    pub(crate) fn excuses(mut self, more: usize) -> Self {
        self.duplicates += more;
        self
    }

    /// The order of keys is not judged.
    pub(crate) fn unordered(mut self) -> Self {
        self.is_ordered = false;
        self
    }

    /// Records in front of an event.
    pub(crate) fn more(mut self, more: More) -> Self {
        self.more = more;
        self
    }

    /// `FAULT, FLOW`.
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.fault, self.flow.name())
    }
}
