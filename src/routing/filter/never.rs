//! Finds predicates that no event can pass.
//!
//! Owns the search for contradictions in a [`Shape`]. Invariants: sound, as the shape is necessary and only sure
//! contradictions count; cheap, as nothing is tried twice: alternatives are held against what surrounds them, one
//! level after the other. It does not find every contradiction, and need not.

use std::collections::BTreeMap;

use super::Shape;

/// What the surroundings say about one attribute.
#[derive(Debug, Clone, Default)]
struct Facts<'p> {
    one_of: Option<Vec<&'p str>>,
    prefix: Option<&'p str>,
    suffix: Option<&'p str>,
    between: Option<(i32, i32)>,
    present: bool,
    absent: bool,
}

type Known<'p> = BTreeMap<&'p str, Facts<'p>>;

pub(super) fn reason(shape: &Shape<'_>) -> Option<String> {
    contradiction(shape, Known::new())
}

fn contradiction<'p>(shape: &Shape<'p>, mut known: Known<'p>) -> Option<String> {
    let mut alternatives = Vec::new();
    add(shape, &mut known, &mut alternatives).err().or_else(|| {
        alternatives.into_iter().find_map(|branches| {
            // Every branch must fail; the last reason stands for all of them.
            let reasons: Option<Vec<_>> = branches
                .iter()
                .map(|branch| contradiction(branch, known.clone()))
                .collect();
            let last = reasons?.pop()?;
            Some(if branches.len() == 1 {
                last
            } else {
                format!("no alternative can match: {last}")
            })
        })
    })
}

/// Adds what holds for sure, and puts alternatives aside until all of it is known.
fn add<'s, 'p>(
    shape: &'s Shape<'p>,
    known: &mut Known<'p>,
    alternatives: &mut Vec<&'s [Shape<'p>]>,
) -> Result<(), String> {
    match shape {
        Shape::Unknown => Ok(()),
        Shape::Never(reason) => Err(reason.clone()),
        Shape::And(shapes) => shapes
            .iter()
            .try_for_each(|shape| add(shape, known, alternatives)),
        Shape::Or(shapes) => {
            alternatives.push(shapes);
            Ok(())
        }
        Shape::OneOf(name, texts) => {
            let facts = known.entry(name).or_default();
            facts.present = true;
            let before = facts.one_of.replace(match &facts.one_of {
                Some(allowed) => texts
                    .iter()
                    .copied()
                    .filter(|text| allowed.contains(text))
                    .collect(),
                None => texts.clone(),
            });
            match (before, facts.one_of.as_deref()) {
                (Some(before), Some([])) => Err(format!(
                    "`{name}` cannot be both {} and {}",
                    any_of(&before),
                    any_of(texts)
                )),
                _ => facts.check(name),
            }
        }
        Shape::Prefix(name, text) => {
            let facts = known.entry(name).or_default();
            facts.present = true;
            let (short, long) = by_length(facts.prefix.unwrap_or(""), text);
            if !long.starts_with(short) {
                return Err(format!("`{name}` cannot begin with both {short:?} and {long:?}"));
            }
            facts.prefix = Some(long);
            facts.check(name)
        }
        Shape::Suffix(name, text) => {
            let facts = known.entry(name).or_default();
            facts.present = true;
            let (short, long) = by_length(facts.suffix.unwrap_or(""), text);
            if !long.ends_with(short) {
                return Err(format!("`{name}` cannot end with both {short:?} and {long:?}"));
            }
            facts.suffix = Some(long);
            facts.check(name)
        }
        Shape::Between(name, least, most) => {
            let facts = known.entry(name).or_default();
            facts.present = true;
            let (low, high) = facts.between.unwrap_or((i32::MIN, i32::MAX));
            let (least, most) = (low.max(*least), high.min(*most));
            if least > most {
                return Err(format!("`{name}` cannot be at least {least} and at most {most}"));
            }
            facts.between = Some((least, most));
            facts.check(name)
        }
        Shape::Present(name) => {
            let facts = known.entry(name).or_default();
            facts.present = true;
            facts.check(name)
        }
        Shape::Absent(name) => {
            let facts = known.entry(name).or_default();
            facts.absent = true;
            facts.check(name)
        }
    }
}

impl Facts<'_> {
    fn check(&mut self, name: &str) -> Result<(), String> {
        if self.present && self.absent {
            return Err(format!("`{name}` cannot be both there and absent"));
        }
        let Some(allowed) = &mut self.one_of else {
            return Ok(());
        };
        let before = any_of(allowed);
        let (prefix, suffix) = (self.prefix.unwrap_or(""), self.suffix.unwrap_or(""));
        allowed.retain(|text| text.starts_with(prefix) && text.ends_with(suffix));
        if !allowed.is_empty() {
            return Ok(());
        }
        Err(match (prefix, suffix) {
            ("", _) => format!("`{name}` cannot be {before} and end with {suffix:?}"),
            (_, "") => format!("`{name}` cannot be {before} and begin with {prefix:?}"),
            _ => format!("`{name}` cannot be {before}, begin with {prefix:?} and end with {suffix:?}"),
        })
    }
}

fn any_of(texts: &[&str]) -> String {
    match texts {
        [one] => format!("{one:?}"),
        [one, ..] => format!("one of {} texts such as {one:?}", texts.len()),
        [] => "no text at all".into(),
    }
}

fn by_length<'p>(a: &'p str, b: &'p str) -> (&'p str, &'p str) {
    if a.len() <= b.len() { (a, b) } else { (b, a) }
}
