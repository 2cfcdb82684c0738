//! Plans: a name, a list, or `{ anycast | fallback | multicast: [...] }`, in each other.

use weft_api::config::{Finding, Node, Value};

use super::super::keys::{
    AnycastKeys, FallbackKeys, FallbackReason, MemberDown, MulticastKeys, PolicyWord, fields_of,
};
use super::super::model::{Anycast, Fallback, Member, Place, Plan, Target};
use super::destination::is_empty;
use super::entry::{Allowed, map, without};
use super::store::STORE;
use super::{Reader, at_key, is_private};
use crate::routing::plan::{FallbackOn, KeyRule, MEMBERS_MAX, Policy};

/// The keys that make a mapping a plan.
pub(super) const GROUPS: [&str; 3] = ["anycast", "fallback", "multicast"];

/// What a group has beside the keys of its kind, where it has a name.
pub(super) const OF_NAMED: [&str; 1] = [STORE];

/// Policies that need the mesh.
const OF_THE_MESH: [&str; 2] = ["nearest", "balanced"];

/// Largest weight.
const WEIGHT_MAX: u32 = 1000;

/// All keys that groups have.
pub(super) fn keys_of_groups() -> Vec<&'static str> {
    let mut keys = GROUPS.to_vec();
    keys.extend(fields_of::<AnycastKeys>());
    keys.extend(fields_of::<FallbackKeys>());
    keys.extend(OF_NAMED);
    keys
}

impl Reader<'_> {
    /// A plan wherever one may stand.
    pub(super) fn plan(&mut self, node: &Node) -> Option<Plan> {
        match &node.value {
            Value::Text(name) => Some(Plan::To(Target {
                name: name.as_str().into(),
                place: Place::of(node),
            })),
            Value::List(_) => Some(Plan::Multicast(
                self.members(node)?
                    .into_iter()
                    .map(|member| member.plan)
                    .collect(),
            )),
            Value::Map(_) => self.group_plan(node, &[]),
            _ => {
                let what = "expected where events go: a destination's name, a list of them, or a group";
                let remedy = "for example `crm`, `[crm, erp]` or `{ fallback: [crm, erp] }`";
                self.findings.push(Finding::error(node, what, remedy));
                None
            }
        }
    }

    /// The plan of a mapping, in which `others` may stand, too.
    pub(super) fn group_plan(&mut self, node: &Node, others: &[&str]) -> Option<Plan> {
        let entries = map(node);
        let mut groups = entries
            .iter()
            .filter(|(key, _)| GROUPS.contains(&key.name.as_str()));
        let Some((kind, members)) = groups.next() else {
            let unknown = entries
                .iter()
                .find(|(key, _)| !is_private(key) && key.name != "to");
            match unknown {
                None => self.findings.push(Finding::error(
                    node,
                    "this plan leads nowhere",
                    "name a destination",
                )),
                Some(_) => drop(self.known(
                    node,
                    &Allowed {
                        fields: &GROUPS,
                        others: &[],
                    },
                )),
            }
            return None;
        };
        if let Some((second, value)) = groups.next() {
            let what = format!(
                "a group is of one kind, and this has `{}` and `{}`",
                kind.name, second.name
            );
            self.findings.push(at_key(
                second,
                &value.path,
                what,
                "put one inside the other, or make two groups",
            ));
        }
        let rest = without(node, &GROUPS);
        match kind.name.as_str() {
            "anycast" => self.anycast(members, &rest, others),
            "fallback" => self.fallback(members, &rest, others),
            _ => {
                self.group_keys::<MulticastKeys>(&rest, others);
                Some(Plan::Multicast(
                    self.members(members)?
                        .into_iter()
                        .map(|member| member.plan)
                        .collect(),
                ))
            }
        }
    }

    /// The keys of a group of one kind.
    fn group_keys<T: serde::de::DeserializeOwned>(&mut self, rest: &Node, others: &[&str]) -> Option<T> {
        let known = self.known(
            rest,
            &Allowed {
                fields: fields_of::<T>(),
                others,
            },
        );
        self.decode::<T>(&without(&known, others))
    }

    fn anycast(&mut self, node: &Node, rest: &Node, others: &[&str]) -> Option<Plan> {
        if let Some(policy) = rest.get("policy")
            && matches!(&policy.value, Value::Text(word) if OF_THE_MESH.contains(&word.as_str()))
        {
            let what = "this policy needs the mesh, which is not in this version";
            let remedy = "write round_robin, weighted, least_pending or hash";
            self.findings.push(Finding::error(policy, what, remedy));
            return None;
        }
        let keys = self.group_keys::<AnycastKeys>(rest, others);
        let weighted = has_weights(node);
        let members = self.members(node)?;
        let keys = keys?;
        let policy = match keys.policy {
            None if weighted => Policy::Weighted,
            None | Some(PolicyWord::RoundRobin) => Policy::RoundRobin,
            Some(PolicyWord::Weighted) => Policy::Weighted,
            Some(PolicyWord::LeastPending) => Policy::LeastPending,
            Some(PolicyWord::Hash) => Policy::Hash,
        };
        if policy == Policy::RoundRobin && weighted {
            let at = rest.get("policy").unwrap_or(rest);
            let what = "`round_robin` gives every member the same share, whatever its weight";
            self.findings
                .push(Finding::warning(at, what, "write `policy: weighted`"));
        }
        let key = match (&keys.order_by, policy) {
            (Some(order_by), Policy::Hash) => {
                if order_by.0 == KeyRule::None {
                    let at = rest.get("order_by").unwrap_or(rest);
                    let remedy = "write `key` or an attribute's name, or another policy";
                    self.findings
                        .push(Finding::error(at, "`hash` needs something to hash", remedy));
                }
                order_by.0.clone()
            }
            (Some(_), _) => {
                let at = rest.get("order_by").unwrap_or(rest);
                let what = "only the policy `hash` keeps the events of one key at one member";
                self.findings.push(Finding::error(
                    at,
                    what,
                    "write `policy: hash`, or remove `order_by`",
                ));
                KeyRule::Key
            }
            (None, _) => KeyRule::Key,
        };
        Some(Plan::Anycast(Anycast {
            members,
            policy,
            key,
            wait: keys.member_down == MemberDown::Wait,
        }))
    }

    fn fallback(&mut self, node: &Node, rest: &Node, others: &[&str]) -> Option<Plan> {
        let keys = self.group_keys::<FallbackKeys>(rest, others);
        let members = self.members(node)?;
        let on = match keys?.on {
            None => FallbackOn::default(),
            Some(reasons) => {
                if let (true, Some(at)) = (reasons.is_empty(), rest.get("on")) {
                    let what = "a fallback that moves on nothing never uses its second member";
                    let remedy = "name some of rejected, unavailable and timeout, or leave `on` out";
                    self.findings.push(Finding::error(at, what, remedy));
                }
                FallbackOn {
                    refused: reasons.contains(&FallbackReason::Rejected),
                    unavailable: reasons.contains(&FallbackReason::Unavailable),
                    timeout: reasons.contains(&FallbackReason::Timeout),
                }
            }
        };
        if let [_] = members.as_slice() {
            let what = "a fallback with one member has nothing to fall back to";
            self.findings.push(Finding::warning(
                node,
                what,
                "add a second member, or name the destination itself",
            ));
        }
        Some(Plan::Fallback(Fallback {
            members: members.into_iter().map(|member| member.plan).collect(),
            on,
        }))
    }

    /// The members of a group; `None` where one of them cannot be read.
    fn members(&mut self, node: &Node) -> Option<Vec<Member>> {
        let Value::List(items) = &node.value else {
            let remedy = "for example `[first, second]`";
            self.findings
                .push(Finding::error(node, "the members of a group are a list", remedy));
            return None;
        };
        if is_empty(node) {
            self.findings.push(Finding::error(
                node,
                "this plan is empty: events would go nowhere",
                "name destinations in it",
            ));
            return None;
        }
        if items.len() > MEMBERS_MAX {
            let what = format!(
                "a group has at most {MEMBERS_MAX} members, and this has {}",
                items.len()
            );
            self.findings
                .push(Finding::error(node, what, "put groups into a group"));
            return None;
        }
        let members: Vec<Option<Member>> = items.iter().map(|item| self.member(item)).collect();
        let members: Vec<Member> = members.into_iter().collect::<Option<_>>()?;
        for (at, member) in members.iter().enumerate() {
            let Plan::To(target) = &member.plan else { continue };
            let earlier = members.iter().take(at);
            if earlier
                .filter_map(|m| if let Plan::To(t) = &m.plan { Some(t) } else { None })
                .any(|t| t.name == target.name)
            {
                let what = format!("`{}` is a member twice", target.name);
                self.findings.push(super::at(
                    &target.place,
                    what,
                    "keep one; an anycast has weights: `{ to: NAME, weight: 2 }`",
                ));
            }
        }
        Some(members)
    }

    fn member(&mut self, node: &Node) -> Option<Member> {
        let Some(to) = node.get("to") else {
            return self.plan(node).map(|plan| Member { plan, weight: 1 });
        };
        let known = self.known(
            node,
            &Allowed {
                fields: &["to", "weight"],
                others: &[],
            },
        );
        let plan = self.plan(to);
        let weight = match known.get("weight") {
            None => Some(1),
            Some(at) => match at.value {
                Value::Int(weight) if (1..=i64::from(WEIGHT_MAX)).contains(&weight) => {
                    u32::try_from(weight).ok()
                }
                _ => {
                    let what = format!("a weight is a whole number from 1 to {WEIGHT_MAX}");
                    self.findings
                        .push(Finding::error(at, what, "for example `weight: 2`"));
                    None
                }
            },
        };
        Some(Member {
            plan: plan?,
            weight: weight?,
        })
    }
}

fn has_weights(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.iter().any(|item| item.get("weight").is_some()))
}
