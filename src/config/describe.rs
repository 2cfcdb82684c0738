//! Plans as a person says them: `first of (crm, one of (w1, w2 x2) by hash)`.

use std::fmt;

use super::model::{Anycast, Fallback, Plan};
use crate::routing::plan::{FallbackOn, KeyRule, Policy};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::To(target) => f.write_str(&target.name),
            Plan::Multicast(plans) => {
                f.write_str("all of (")?;
                list(f, plans, |plan, f| write!(f, "{plan}"))?;
                f.write_str(")")
            }
            Plan::Anycast(anycast) => write!(f, "{anycast}"),
            Plan::Fallback(fallback) => write!(f, "{fallback}"),
        }
    }
}

impl fmt::Display for Anycast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of (")?;
        list(f, &self.members, |member, f| match member.weight {
            1 => write!(f, "{}", member.plan),
            weight => write!(f, "{} x{weight}", member.plan),
        })?;
        f.write_str(") by ")?;
        f.write_str(match self.policy {
            Policy::RoundRobin => "turn",
            Policy::Weighted => "weight",
            Policy::LeastPending => "least pending",
            Policy::Hash => "hash of ",
        })?;
        match &self.key {
            _ if self.policy != Policy::Hash => {}
            KeyRule::Key => f.write_str("its key")?,
            KeyRule::Attribute(name) => f.write_str(name)?,
            KeyRule::None => f.write_str("nothing")?,
        }
        if self.wait {
            f.write_str(", waiting for that one")
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("first of (")?;
        list(f, &self.members, |plan, f| write!(f, "{plan}"))?;
        f.write_str(")")?;
        if self.on == FallbackOn::default() {
            return Ok(());
        }
        let words = [
            ("refused", self.on.refused),
            ("unavailable", self.on.unavailable),
            ("timeout", self.on.timeout),
        ];
        let words: Vec<&str> = words
            .iter()
            .filter(|(_, on)| *on)
            .map(|(word, _)| *word)
            .collect();
        write!(f, " on {}", words.join(", "))
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    each: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        each(item, f)?;
    }
    Ok(())
}
