//! From a [`Node`] into a serde type, with every mistake at once.
//!
//! serde stops at the first mistake. So each one is recorded, what is at fault is pruned from a copy of the tree, and
//! the copy is read again, until nothing is wrong or nothing is left. Where a key is required, a stand-in takes its
//! place, so that the rest of its mapping is looked at, too. Mistakes that only pruning brought about are not
//! reported. The alternative, a validator beside the types, would say everything twice.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Finding;
use super::fault::{Fault, Kind, Step};
use super::node::{Key, Node, Value};
use super::read::Read;

/// Most readings of one section; what is wrong beyond that is found once the first mistakes are put right.
const READINGS_MAX: usize = 400;

/// Reads a section.
///
/// # Errors
/// Every mistake in it, in the order of the file. Text that came out of `${...}` is never shown.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Vec<Finding>> {
    let fault = match T::deserialize(Read(node)) {
        Ok(value) => return Ok(value),
        Err(fault) => fault,
    };
    let mut pruner = Pruner {
        tree: node.clone(),
        findings: Vec::new(),
        touched: Vec::new(),
        stand_ins: Vec::new(),
    };
    let mut next = Some(fault);
    for _ in 0..READINGS_MAX {
        let Some(fault) = next.take() else { break };
        if !pruner.prune(fault) {
            break;
        }
        next = T::deserialize(Read(&pruner.tree)).err();
    }
    let mut findings = pruner.findings;
    findings.sort_by_key(|finding| (finding.span.line, finding.span.column));
    debug_assert!(
        !findings.is_empty(),
        "the first fault is never a consequence of pruning"
    );
    Err(findings)
}

struct Pruner {
    tree: Node,
    findings: Vec<Finding>,
    /// Paths at which something was pruned or put in.
    touched: Vec<String>,
    /// Keys that were put in, with how many kinds of value were tried there.
    stand_ins: Vec<(Vec<Step>, usize)>,
}

impl Pruner {
    /// Records the fault and takes its cause away. False where nothing is left to read.
    fn prune(&mut self, fault: Fault) -> bool {
        let trail = fault.trail();
        if let Some(place) = self.stand_ins.iter().position(|(at, _)| trail.starts_with(at)) {
            return self.next_stand_in(place);
        }
        match fault.kind() {
            Kind::Unknown { key, .. } => {
                let key = key.clone();
                self.report(fault);
                self.touch(&trail);
                self.remove(&trail, &key)
            }
            Kind::Missing { key } => {
                let key = *key;
                let mut at = trail;
                at.push(Step::Key(key.to_owned()));
                if !self.touched.contains(&joined(fault.path(), key)) {
                    self.report(fault);
                }
                self.stand_ins.push((at, 0));
                self.next_stand_in(self.stand_ins.len() - 1)
            }
            _ => {
                let path = fault.path().to_owned();
                let consequence = self.touched.iter().any(|touched| below(touched, &path));
                if !consequence {
                    self.report(fault);
                }
                self.drop_at(&trail)
            }
        }
    }

    fn report(&mut self, fault: Fault) {
        let finding = fault.finding(&self.tree);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Takes away the node at the end of `trail`.
    fn drop_at(&mut self, trail: &[Step]) -> bool {
        let Some((last, parent)) = trail.split_last() else {
            return false;
        };
        self.touch(trail);
        match last {
            Step::Key(key) => {
                // What stands there may have come from elsewhere, under another path.
                if let Some(parent) = find(&mut self.tree, parent) {
                    let path = joined(&parent.path, key);
                    self.touched.push(path);
                }
                self.remove(parent, key)
            }
            Step::Index(index) => match find(&mut self.tree, parent).map(|node| &mut node.value) {
                Some(Value::List(nodes)) if *index < nodes.len() => {
                    nodes.remove(*index);
                    true
                }
                _ => false,
            },
        }
    }

    fn remove(&mut self, map: &[Step], key: &str) -> bool {
        match find(&mut self.tree, map).map(|node| &mut node.value) {
            Some(Value::Map(entries)) => {
                let before = entries.len();
                entries.retain(|(k, _)| k.name != key);
                entries.len() < before
            }
            _ => false,
        }
    }

    fn touch(&mut self, trail: &[Step]) {
        if let Some(node) = find(&mut self.tree, trail) {
            let path = node.path.to_string();
            self.touched.push(path);
        }
    }

    /// Puts the next kind of value where a required key is missing; without one that fits, its mapping goes.
    fn next_stand_in(&mut self, place: usize) -> bool {
        let (at, tried) = self.stand_ins[place].clone();
        let Some((Step::Key(key), parent)) = at.split_last() else {
            return false;
        };
        let Some(value) = stand_in(tried) else {
            self.stand_ins.remove(place);
            return self.drop_at(parent);
        };
        self.stand_ins[place].1 += 1;
        let Some(map) = find(&mut self.tree, parent) else {
            return false;
        };
        let path = joined(&map.path, key);
        let node = Node {
            value,
            span: map.span.clone(),
            path: Arc::from(path.as_str()),
            secret: false,
        };
        if matches!(map.value, Value::Null) {
            map.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut map.value else {
            return false;
        };
        match entries.iter_mut().find(|(k, _)| k.name == *key) {
            Some((_, old)) => *old = node,
            None => entries.push((
                Key {
                    name: key.clone(),
                    span: map.span.clone(),
                },
                node,
            )),
        }
        self.touched.push(path);
        true
    }
}

/// The values that most types take one of.
fn stand_in(tried: usize) -> Option<Value> {
    match tried {
        0 => Some(Value::Text("x".to_owned())),
        1 => Some(Value::Int(1)),
        2 => Some(Value::List(Vec::new())),
        3 => Some(Value::Map(Vec::new())),
        4 => Some(Value::Text("1s".to_owned())),
        5 => Some(Value::Bool(true)),
        _ => None,
    }
}

fn find<'a>(root: &'a mut Node, trail: &[Step]) -> Option<&'a mut Node> {
    trail
        .iter()
        .try_fold(root, |node, step| match (&mut node.value, step) {
            (Value::Map(entries), Step::Key(key)) => entries
                .iter_mut()
                .find(|(k, _)| k.name == *key)
                .map(|(_, node)| node),
            (Value::List(nodes), Step::Index(index)) => nodes.get_mut(*index),
            _ => None,
        })
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Whether `path` is `above` or stands somewhere in it.
fn below(path: &str, above: &str) -> bool {
    above.is_empty()
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
