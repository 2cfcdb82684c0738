//! The way to where a leg is, by names: what outlives the table that made it.
//!
//! A record in a log outlives a reload, and the process. It says where it stands by the names of groups and members;
//! members without a name by their place.

use std::sync::Arc;

use super::{Node, NodeId, Plans, Step, Steps};

/// A leg's choices by name, outermost first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// The group in which the first choice was made, or its place in the plan of the route, or nothing.
    pub root: Box<str>,
    /// The choices.
    pub choices: Vec<Choice>,
}

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The member that was chosen.
    pub current: Box<str>,
    /// Members that were chosen before and failed.
    pub tried: Vec<Box<str>>,
}

impl Plans {
    /// Gives a node its name in the file.
    pub fn name(&mut self, name: Arc<str>, node: NodeId) {
        self.by_name.insert(Arc::clone(&name), node);
        self.names.insert(node, name);
    }

    /// The node with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// The name of a node; members of a plan inside another have none.
    #[must_use]
    pub fn name_of(&self, node: NodeId) -> Option<&str> {
        self.names.get(&node).map(|name| &**name)
    }

    /// These choices by name.
    #[must_use]
    pub fn path(&self, steps: &[Step]) -> Path {
        let Some(first) = steps.first() else {
            return Path::default();
        };
        let choice = |step: &Step| {
            let tried = (0..64).filter(|at| step.tried & (1 << at) != 0);
            Choice {
                current: self.label(step.node, usize::from(step.current)),
                tried: tried.map(|at| self.label(step.node, at)).collect(),
            }
        };
        Path {
            root: self.name_of(first.node).unwrap_or_default().into(),
            choices: steps.iter().map(choice).collect(),
        }
    }

    /// The choices that a path means from `root` on, and the node to which they lead; `None` where the plan has no such
    /// member any more.
    #[must_use]
    pub fn resolve(&self, root: NodeId, path: &Path) -> Option<(Steps, NodeId)> {
        let (mut steps, mut node) = (Steps::new(), root);
        for choice in &path.choices {
            let members = self.members(node);
            let at = |label: &str| (0..members.len()).find(|at| *self.label(node, *at) == *label);
            let current = at(&choice.current)?;
            let tried = choice.tried.iter().filter_map(|label| at(label));
            steps.push(Step {
                node,
                current: super::index(current),
                tried: tried.fold(0, |mask, at| mask | 1 << at),
            });
            node = members[current];
        }
        Some((steps, node))
    }

    fn members(&self, node: NodeId) -> Vec<NodeId> {
        match self.node(node) {
            Node::First(first) => first.members.to_vec(),
            Node::Any(any) => any.members.iter().map(|member| member.node).collect(),
            Node::To(_) | Node::All(_) | Node::Stored(_) => Vec::new(),
        }
    }

    fn label(&self, node: NodeId, at: usize) -> Box<str> {
        let member = self.members(node).get(at).copied();
        match member.and_then(|member| self.name_of(member)) {
            Some(name) => name.into(),
            None => place(at),
        }
    }
}

/// How what has no name is called.
#[must_use]
pub fn place(at: usize) -> Box<str> {
    format!("@{at}").into()
}
