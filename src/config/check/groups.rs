//! Groups end: no circles, and one level into another.

use std::collections::HashMap;

use weft_api::config::Finding;

use super::super::model::{Place, Plan};
use super::super::read::{Draft, at};

/// Deepest nesting of groups: a group in a group.
const NESTED_MAX: usize = 2;

pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    let groups = groups(draft);
    let mut walk = Walk {
        groups,
        depths: HashMap::new(),
        path: Vec::new(),
        circles: 0,
        findings,
    };
    for named in &draft.destinations {
        let circles = walk.circles;
        let depth = walk.group(&named.name);
        if walk.circles == circles {
            walk.deep(depth, &named.place);
        }
    }
    for named in &draft.routes {
        let Some(to) = &named.plan else { continue };
        // A multicast at the top of a route is a list of legs, not a level.
        let depth = match to {
            Plan::Multicast(plans) => plans.iter().map(|plan| walk.plan(plan)).max().unwrap_or(0),
            plan => walk.plan(plan),
        };
        // A named group that is too deep has been reported where it stands.
        if !matches!(to, Plan::To(_)) {
            let own = to
                .targets()
                .iter()
                .all(|target| walk.depth(&target.name) <= NESTED_MAX);
            if own {
                walk.deep(depth, &named.place);
            }
        }
    }
}

/// Named groups and their plans.
pub(in crate::config) fn groups(draft: &Draft) -> HashMap<&str, &Plan> {
    draft
        .destinations
        .iter()
        .filter_map(|named| Some((&*named.name, named.plan.as_ref()?)))
        .collect()
}

struct Walk<'d, 'f> {
    groups: HashMap<&'d str, &'d Plan>,
    /// Levels of each group that was walked; a group in a circle counts as none.
    depths: HashMap<&'d str, usize>,
    /// The groups that are being walked.
    path: Vec<&'d str>,
    /// How many circles were found.
    circles: usize,
    findings: &'f mut Vec<Finding>,
}

impl<'d> Walk<'d, '_> {
    fn plan(&mut self, plan: &'d Plan) -> usize {
        if let Plan::To(target) = plan {
            if let Some(start) = self.path.iter().position(|name| **name == *target.name) {
                let mut circle: Vec<&str> = self.path[start..].to_vec();
                circle.push(&target.name);
                let what = format!("these groups lead in a circle: {}", circle.join(" -> "));
                self.findings
                    .push(at(&target.place, what, "take one of them out of the circle"));
                self.circles += 1;
                return 0;
            }
            return self.group(&target.name);
        }
        1 + plan
            .children()
            .into_iter()
            .map(|child| self.plan(child))
            .max()
            .unwrap_or(0)
    }

    /// How many levels of groups a destination has. Each group is walked once, so that the work is linear.
    fn group(&mut self, name: &str) -> usize {
        let Some((&name, &plan)) = self.groups.get_key_value(name) else {
            return 0;
        };
        if let Some(depth) = self.depths.get(name) {
            return *depth;
        }
        self.path.push(name);
        let depth = self.plan(plan);
        self.path.pop();
        self.depths.insert(name, depth);
        depth
    }

    fn depth(&self, name: &str) -> usize {
        self.depths.get(name).copied().unwrap_or(0)
    }

    fn deep(&mut self, depth: usize, place: &Place) {
        if depth > NESTED_MAX {
            let what = format!("groups stand {depth} levels deep in each other here");
            self.findings.push(at(
                place,
                what,
                "a group may have groups as members, and those only destinations",
            ));
        }
    }
}
