//! Which attributes a program names, and without which of them it must fail.
//!
//! Owns that one question, for constant folding, for the index's necessary conditions and for explanations. Does not
//! know values.

use smallvec::SmallVec;

use super::program::{Any, Bool, Int, Str};

/// Which attributes to collect from a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All that are named, `EXISTS` too.
    All,
    /// Only those without which the evaluation fails.
    Required,
}

pub(crate) type Names<'a> = SmallVec<[&'a str; 4]>;

impl Bool {
    /// Whether no event can change the value.
    pub(crate) fn is_constant(&self) -> bool {
        let mut names = SmallVec::new();
        self.attributes(Reach::All, &mut names);
        names.is_empty()
    }

    /// Collects the names of attributes, each as often as it stands there.
    pub(crate) fn attributes<'a>(&'a self, reach: Reach, into: &mut Names<'a>) {
        match self {
            Self::Const(_) | Self::NoSuchFunction(_) => {}
            Self::Attr(name) => into.push(name),
            Self::Exists(name) => {
                if reach == Reach::All {
                    into.push(name);
                }
            }
            Self::FromInt(inner) => inner.attributes(reach, into),
            Self::FromStr(inner) => inner.attributes(reach, into),
            Self::Like(_, inner, _) => inner.attributes(reach, into),
            Self::Not(inner) => inner.attributes(reach, into),
            Self::Logic(first, rest) => {
                first.attributes(reach, into);
                // What comes after may be left out.
                if reach == Reach::All {
                    rest.iter().for_each(|(_, node)| node.attributes(reach, into));
                }
            }
            Self::CompareStr(_, left, right) => {
                [left, right].iter().for_each(|side| side.attributes(reach, into))
            }
            Self::CompareBool(_, sides) => {
                sides.0.attributes(reach, into);
                sides.1.attributes(reach, into);
            }
            Self::CompareInt(_, left, right) => {
                [left, right].iter().for_each(|side| side.attributes(reach, into))
            }
            Self::CompareAttr(_, left, right) => {
                left.attributes(reach, into);
                into.push(right);
            }
            Self::InStr(_, left, set) => {
                left.attributes(reach, into);
                set.others.iter().for_each(|node| node.attributes(reach, into));
            }
            Self::InInt(_, left, set) => {
                left.attributes(reach, into);
                set.others.iter().for_each(|node| node.attributes(reach, into));
            }
            Self::InBool(_, inner) => {
                inner.0.attributes(reach, into);
                inner
                    .1
                    .others
                    .iter()
                    .for_each(|node| node.attributes(reach, into));
            }
            Self::InAttr(_, name, sets) => {
                into.push(name);
                sets.strings
                    .others
                    .iter()
                    .for_each(|node| node.attributes(reach, into));
            }
            Self::Castable(inner, _) => inner.attributes(reach, into),
        }
    }
}

impl Int {
    /// Whether no event can change the value.
    pub(super) fn is_constant(&self) -> bool {
        let mut names = SmallVec::new();
        self.attributes(Reach::All, &mut names);
        names.is_empty()
    }

    pub(super) fn attributes<'a>(&'a self, reach: Reach, into: &mut Names<'a>) {
        match self {
            Self::Const(_) => {}
            Self::Attr(name) => into.push(name),
            Self::FromBool(inner) => inner.attributes(reach, into),
            Self::FromStr(inner) | Self::Length(inner) => inner.attributes(reach, into),
            Self::Negate(inner) | Self::Absolute(inner) => inner.attributes(reach, into),
            Self::Arithmetic(first, rest) => {
                first.attributes(reach, into);
                rest.iter().for_each(|(_, node)| node.attributes(reach, into));
            }
        }
    }
}

impl Str {
    /// Whether no event can change the value.
    pub(super) fn is_constant(&self) -> bool {
        let mut names = SmallVec::new();
        self.attributes(Reach::All, &mut names);
        names.is_empty()
    }

    pub(super) fn attributes<'a>(&'a self, reach: Reach, into: &mut Names<'a>) {
        match self {
            Self::Const(_) => {}
            Self::Attr(name) => into.push(name),
            Self::FromInt(inner) => inner.attributes(reach, into),
            Self::FromBool(inner) => inner.attributes(reach, into),
            Self::Concat(parts) => parts.iter().for_each(|part| part.attributes(reach, into)),
            Self::ConcatWith(delimiter, parts) => {
                delimiter.attributes(reach, into);
                parts.iter().for_each(|part| part.attributes(reach, into));
            }
            Self::Lower(inner) | Self::Upper(inner) | Self::Trim(inner) => inner.attributes(reach, into),
            Self::Left(inner, count) | Self::Right(inner, count) => {
                inner.attributes(reach, into);
                count.attributes(reach, into);
            }
            Self::Substring(inner, position, length) => {
                inner.attributes(reach, into);
                position.attributes(reach, into);
                length.iter().for_each(|length| length.attributes(reach, into));
            }
        }
    }
}

impl Any {
    pub(crate) fn attributes<'a>(&'a self, reach: Reach, into: &mut Names<'a>) {
        match self {
            Self::Bool(node) => node.attributes(reach, into),
            Self::Int(node) => node.attributes(reach, into),
            Self::Str(node) => node.attributes(reach, into),
            Self::Attr(name) => into.push(name),
        }
    }
}
