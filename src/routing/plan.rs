//! Plans: where an event's obligation may go, and where it goes next after a failure.
//!
//! Owns: the node arena that routes and groups compile into, the choice among an anycast's members, and the step from
//! one choice to the next. Pure: what it must know of the living destinations and logs comes through [`View`].
//! Invariants: the arena has no cycles and no empty node; a named group is one node however many routes name it; a log
//! stands in one node only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use smallvec::SmallVec;

use super::anycast;

mod advance;
mod path;
#[cfg(test)]
mod tests;

pub use advance::{Failure, Moved};
pub use path::{Choice, Path, place};

/// A destination with an egress of its own, by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DestId(pub u16);

/// A log of the store, by its place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LogId(pub u16);

/// A node of the arena.
pub type NodeId = u32;

/// Most members of one anycast or fallback: what the mask of tried members holds.
pub const MEMBERS_MAX: usize = 64;

/// One node.
#[derive(Debug)]
pub enum Node {
    /// A destination.
    To(DestId),
    /// All of them (C14).
    All(Box<[NodeId]>),
    /// One of them (C15).
    Any(Anycast),
    /// The first that takes it (C16).
    First(Fallback),
    /// What is below, out of a log (C24).
    Stored(Stored),
    /// What is below, out of a log that routers share.
    Shared(Shared),
}

/// A place that has a log in common with other routers: a leg goes to the destination that is the log, and what comes out
/// of it, here or there, goes on below. How much is in it nobody here knows.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    /// What writes into the log.
    pub log: DestId,
    /// What is below.
    pub inner: NodeId,
}

/// A place that has a log of its own: a leg goes into the log, and what comes out of it goes on below.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    /// The log.
    pub log: LogId,
    /// What is below; `None` for the local dead letters, which people read.
    pub inner: Option<NodeId>,
    /// `when_full: move`: full is as good as down.
    pub full_moves: bool,
    /// The file does not ask for the log any more: it takes what comes until it is empty, so that order holds.
    pub ending: bool,
}

/// How an anycast chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// One after another.
    RoundRobin,
    /// One after another, each as often as its weight says.
    Weighted,
    /// The one with the least pending events for its weight.
    LeastPending,
    /// By the event's key, so that a key keeps its member while the member is there (rendezvous hashing).
    Hash,
}

/// One of its members.
#[derive(Debug)]
pub struct Anycast {
    /// The members, in the order of the file.
    pub members: Box<[Member]>,
    /// How it chooses.
    pub policy: Policy,
    /// `member_down: wait`: an event stays with the member that was chosen for it.
    pub wait: bool,
    /// Whose turn it is.
    pub turn: AtomicU32,
    /// For [`Policy::Weighted`]: member indices in smooth order.
    pub sequence: Box<[u8]>,
    /// What [`Policy::Hash`] hashes.
    pub key: KeyRule,
}

/// A member of an anycast.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The member.
    pub node: NodeId,
    /// Its weight, at least 1.
    pub weight: u32,
    /// A hash of its name: the same in every replica.
    pub seed: u64,
}

/// The first member that takes it.
#[derive(Debug)]
pub struct Fallback {
    /// The members, in the order of the file.
    pub members: Box<[NodeId]>,
    /// After which failures the next member is tried.
    pub on: FallbackOn,
}

/// After which failures a fallback moves on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FallbackOn {
    /// The member refused the event for good, or its attempts are used up.
    pub refused: bool,
    /// The member's breaker is open, or `unavailable:` passed.
    pub unavailable: bool,
    /// The member did not answer: moving may duplicate.
    pub timeout: bool,
}

impl Default for FallbackOn {
    fn default() -> FallbackOn {
        FallbackOn {
            refused: true,
            unavailable: true,
            timeout: false,
        }
    }
}

/// Which of an event's values order it, or choose its member.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum KeyRule {
    /// The transport's key, else `partitionkey`.
    #[default]
    Key,
    /// The value of an attribute.
    Attribute(Box<str>),
    /// Nothing: no order.
    None,
}

impl KeyRule {
    /// The event's key under this rule; an event without one has no order.
    #[must_use]
    pub fn of<'a>(&self, event: &'a weft_api::event::Event) -> Option<&'a [u8]> {
        use weft_api::event::Attributes;
        match self {
            KeyRule::Key => event.key(),
            KeyRule::Attribute(name) => event.get(name).map(|value| value.text.as_bytes()),
            KeyRule::None => None,
        }
    }
}

/// What a plan must know of the living destinations.
pub trait View {
    /// Events that wait for, or are on their way to, this destination.
    fn pending(&self, id: DestId) -> u64;
    /// Whether it would be tried now: its breaker is not open.
    fn available(&self, id: DestId) -> bool;
    /// How a log stands.
    fn log(&self, id: LogId) -> LogView;
}

/// What a plan must know of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogView {
    /// Legs in it, or on their way into it.
    pub pending: u64,
    /// It has no room now.
    pub full: bool,
    /// It takes nothing more in the life of the process (C26).
    pub failed: bool,
}

/// One choice on the way from a plan's root to the destination that a leg is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The anycast or fallback.
    pub node: NodeId,
    /// The member that was chosen.
    pub current: u8,
    /// Members that were chosen and failed, `current` among them once it has.
    pub tried: u64,
}

/// A leg's choices, outermost first. Empty for a plan that is a single destination.
pub type Steps = SmallVec<[Step; 1]>;

/// Where a plan leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To one destination.
    To(DestId),
    /// To a multicast inside an anycast or a fallback: a join of several legs.
    All(NodeId),
    /// Into a log.
    Log(LogId),
}

/// A place with bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bounded {
    /// A destination's queue.
    To(DestId),
    /// A log.
    Log(LogId),
}

/// Who asks for a way through a plan.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The event.
    pub key: &'a dyn anycast::Keyed,
    /// The living destinations and logs.
    pub view: &'a dyn View,
    /// A log holds the leg: it needs no second one, unless a backlog is ahead of it there.
    pub held: bool,
}

/// The arena.
#[derive(Debug, Default)]
pub struct Plans {
    nodes: Vec<Node>,
    /// Endpoints and groups, by name and by node.
    by_name: HashMap<Arc<str>, NodeId>,
    names: HashMap<NodeId, Arc<str>>,
}

impl Plans {
    /// Adds a node whose children were added before; returns its id.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId::try_from(self.nodes.len() - 1).expect("a file with four thousand million nodes does not load")
    }

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The member that a step chose.
    #[must_use]
    pub fn child(&self, step: Step) -> NodeId {
        match self.node(step.node) {
            Node::First(first) => first.members[usize::from(step.current)],
            Node::Any(any) => any.members[usize::from(step.current)].node,
            Node::To(_) | Node::All(_) | Node::Stored(_) | Node::Shared(_) => step.node,
        }
    }

    /// Whether a node takes no more: a place that `full` says is full, all of a choice, any of a multicast.
    pub fn is_full(&self, node: NodeId, full: &dyn Fn(Bounded) -> bool) -> bool {
        match self.node(node) {
            Node::To(dest) => full(Bounded::To(*dest)),
            Node::Stored(stored) => full(Bounded::Log(stored.log)),
            Node::Shared(shared) => full(Bounded::To(shared.log)),
            Node::All(children) => children.iter().any(|child| self.is_full(*child, full)),
            Node::Any(any) => any.members.iter().all(|member| self.is_full(member.node, full)),
            Node::First(first) => first.members.iter().all(|member| self.is_full(*member, full)),
        }
    }

    /// The obligations of a plan: multicasts at its top unfolded, everything else whole; each once.
    #[must_use]
    pub fn parts(&self, root: NodeId) -> Vec<NodeId> {
        let mut parts = Vec::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            match self.node(id) {
                Node::All(children) => open.extend(children.iter().rev()),
                _ if parts.contains(&id) => {}
                _ => parts.push(id),
            }
        }
        parts
    }

    /// Every destination below a node, each once; logs are none.
    #[must_use]
    pub fn destinations(&self, root: NodeId) -> Vec<DestId> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            match self.node(id) {
                Node::To(dest) if found.contains(dest) => {}
                Node::To(dest) => found.push(*dest),
                Node::All(children) => open.extend(children.iter().rev()),
                Node::First(first) => open.extend(first.members.iter().rev()),
                Node::Any(any) => open.extend(any.members.iter().rev().map(|m| m.node)),
                Node::Stored(stored) => open.extend(stored.inner),
                Node::Shared(shared) => open.push(shared.inner),
            }
        }
        found
    }

    /// Chooses from `node` down to a target, noting the choices in `steps`.
    pub fn descend(&self, node: NodeId, asker: Asker<'_>, steps: &mut Steps) -> Target {
        let Asker { view, .. } = asker;
        let mut node = node;
        loop {
            let (current, child) = match self.node(node) {
                Node::To(dest) => return Target::To(*dest),
                Node::All(_) => return Target::All(node),
                Node::Stored(stored) => match self.past(stored, asker) {
                    None => return Target::Log(stored.log),
                    Some(inner) => {
                        node = inner;
                        continue;
                    }
                },
                // Held already, it goes there all the same: what is in it, and came before, nobody here knows (C20).
                Node::Shared(shared) => return Target::To(shared.log),
                Node::First(first) => {
                    let open = |n: &NodeId| !first.on.unavailable || self.available(*n, view);
                    let members = || first.members.iter();
                    // Where all are down, one that keeps the event until it is back.
                    let at = members().position(open);
                    let at = at.or_else(|| members().position(|n| self.keeps(*n, view)));
                    let at = at.unwrap_or(0);
                    (at, first.members[at])
                }
                Node::Any(any) => {
                    let at = self.choose(any, asker, 0);
                    (at, any.members[at].node)
                }
            };
            steps.push(Step {
                node,
                current: index(current),
                tried: 0,
            });
            node = child;
        }
    }

    /// Forgets what was tried, for a leg that stays where it is and starts its round anew.
    pub fn start_round(&self, steps: &mut Steps) {
        for step in steps {
            if matches!(self.node(step.node), Node::Any(_)) {
                step.tried = 0;
            }
        }
    }

    fn choose(&self, any: &Anycast, asker: Asker<'_>, tried: u64) -> usize {
        let Asker { key, view, .. } = asker;
        let node = |at: usize| any.members[at].node;
        let untried = |at: usize| tried & (1 << at) == 0;
        let ready = |at: usize| untried(at) && (any.wait || self.available(node(at), view));
        let keeps = |at: usize| untried(at) && self.keeps(node(at), view);
        let pending = |at: usize| self.pending(node(at), view);
        let turn = any.turn.fetch_add(1, Ordering::Relaxed);
        anycast::choose(any, turn, key, &pending, &ready)
            .or_else(|| anycast::choose(any, turn, key, &pending, &keeps))
            .or_else(|| anycast::choose(any, turn, key, &pending, &untried))
            .unwrap_or(0)
    }

    /// What is below a log, where a leg goes past the log itself: nothing stands in it, and it is not needed.
    fn past(&self, stored: &Stored, asker: Asker<'_>) -> Option<NodeId> {
        let inner = stored.inner?;
        let log = asker.view.log(stored.log);
        let needless = log.failed || stored.ending || asker.held && self.available(inner, asker.view);
        (log.pending == 0 && needless).then_some(inner)
    }

    fn available(&self, node: NodeId, view: &dyn View) -> bool {
        match self.node(node) {
            Node::To(dest) => view.available(*dest),
            Node::All(children) => children.iter().all(|child| self.available(*child, view)),
            Node::Any(any) => any.members.iter().any(|m| self.available(m.node, view)),
            Node::First(first) => first.members.iter().any(|m| self.available(*m, view)),
            Node::Stored(stored) => {
                let log = view.log(stored.log);
                // A log that failed and is empty is not in the way.
                let way = takes(stored, log) || log.failed && log.pending == 0 && stored.inner.is_some();
                way && stored.inner.is_none_or(|inner| self.available(inner, view))
            }
            Node::Shared(shared) => view.available(shared.log) && self.available(shared.inner, view),
        }
    }

    /// Whether an event that goes there is kept, even while nothing below is available.
    fn keeps(&self, node: NodeId, view: &dyn View) -> bool {
        match self.node(node) {
            Node::To(_) => false,
            Node::All(children) => children.iter().all(|child| self.keeps(*child, view)),
            Node::Any(any) => any.members.iter().any(|m| self.keeps(m.node, view)),
            Node::First(first) => first.members.iter().any(|m| self.keeps(*m, view)),
            Node::Stored(stored) => takes(stored, view.log(stored.log)),
            Node::Shared(shared) => view.available(shared.log),
        }
    }

    fn pending(&self, node: NodeId, view: &dyn View) -> u64 {
        match self.node(node) {
            Node::To(dest) => view.pending(*dest),
            // What came out of the log is pending there until it has left both.
            Node::Stored(stored) => {
                let below = stored.inner.map_or(0, |inner| self.pending(inner, view));
                view.log(stored.log).pending.max(below)
            }
            Node::Shared(shared) => {
                let below = self.pending(shared.inner, view);
                view.pending(shared.log).saturating_add(below)
            }
            _ => {
                let below = self.destinations(node).into_iter();
                below.map(|dest| view.pending(dest)).sum()
            }
        }
    }
}

fn takes(stored: &Stored, log: LogView) -> bool {
    let gone_by = log.failed || stored.full_moves && log.full;
    !gone_by
}

fn index(at: usize) -> u8 {
    u8::try_from(at).expect("a node has at most MEMBERS_MAX members")
}
