//! From a syntax tree to a program: types, implicit casts, folded constants (CESQL sections 3.3 and 3.7).
//!
//! Owns the choice of casts: an operator with one signature casts its operands to it; `=` and its kin cast the left
//! operand to the right one's type; `IN` casts its elements to the left operand's type. Invariant: the program gives
//! for every event what the tree, read by the specification, gives. What has no attribute in it is computed here,
//! but for what fails: that fails in evaluation, where the error belongs. Compiling itself never fails.

use super::ast::{Chain, Expr, Level, Literal, Operator};
use super::functions;
use super::like::Pattern;
use super::program::{Any, Bool, Equality, Int, Set, Sets, Str};
use super::value::Type;
use crate::routing::{AttrValue, Attributes};

/// The context attributes of which the CloudEvents specification itself says that CESQL sees them as Strings.
const STRINGS: [&str; 8] = [
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

/// The attributes that every event has.
pub(crate) const REQUIRED: [&str; 4] = ["id", "source", "specversion", "type"];

/// An event without attributes, for what needs none.
pub(crate) struct NoAttributes;

impl Attributes for NoAttributes {
    fn get(&self, _: &str) -> Option<AttrValue<'_>> {
        None
    }
}

/// Compiles a tree.
pub(super) fn compile(expr: &Expr) -> Any {
    match expr {
        Expr::Literal(Literal::Boolean(value)) => Any::Bool(Bool::Const(*value)),
        Expr::Literal(Literal::Integer(value)) => Any::Int(Int::Const(*value)),
        Expr::Literal(Literal::String(value)) => Any::Str(Str::Const(value.as_str().into())),
        Expr::Attribute(name) => Any::Attr(name.as_str().into()),
        Expr::Exists(name) if REQUIRED.contains(&name.as_str()) => Any::Bool(Bool::Const(true)),
        Expr::Exists(name) => Any::Bool(Bool::Exists(name.as_str().into())),
        Expr::Not(inner) => Any::Bool(Bool::Not(compile(inner).into_bool().into()).folded()),
        Expr::Negate(inner) => Any::Int(Int::Negate(compile(inner).into_int().into()).folded()),
        Expr::Like {
            value,
            pattern,
            negated,
        } => Any::Bool(
            Bool::Like(
                equality(*negated),
                compile(value).into_str(),
                Pattern::new(pattern),
            )
            .folded(),
        ),
        Expr::In { value, set, negated } => {
            let set = set.iter().map(compile).collect();
            Any::Bool(within(equality(*negated), compile(value), set).folded())
        }
        Expr::Call { name, args, .. } => call(name, args.iter().map(compile).collect()),
        Expr::Chain(chain) => match chain.level() {
            Level::Logic => Any::Bool(logic(chain)),
            Level::Comparison => Any::Bool(comparison(chain)),
            Level::Sum | Level::Product => Any::Int(arithmetic(chain)),
        },
    }
}

fn equality(negated: bool) -> Equality {
    if negated {
        Equality::Differ
    } else {
        Equality::Equal
    }
}

fn logic(chain: &Chain) -> Bool {
    let mut first = compile(&chain.first).into_bool();
    let mut rest = Vec::new();
    for (operator, expr) in &chain.rest {
        let right = compile(expr).into_bool();
        if !rest.is_empty() {
            rest.push((*operator, right));
            continue;
        }
        // As long as the left side is constant, the chain has not begun.
        first = match (first, operator) {
            (Bool::Const(false), Operator::And) => Bool::Const(false),
            (Bool::Const(true), Operator::Or) => Bool::Const(true),
            (Bool::Const(true), Operator::Xor) => Bool::Not(right.into()).folded(),
            (Bool::Const(_), _) => right,
            (left, _) => {
                rest.push((*operator, right));
                left
            }
        };
    }
    if rest.is_empty() {
        first
    } else {
        Bool::Logic(first.into(), rest.into())
    }
}

fn comparison(chain: &Chain) -> Bool {
    let mut left = compile(&chain.first);
    for (operator, expr) in &chain.rest {
        left = Any::Bool(compare(*operator, left, compile(expr)).folded());
    }
    left.into_bool()
}

fn compare(operator: Operator, left: Any, right: Any) -> Bool {
    let equality = match operator {
        Operator::Equal => Equality::Equal,
        Operator::NotEqual => Equality::Differ,
        _ => return Bool::CompareInt(operator, left.into_int(), right.into_int()),
    };
    match right.known_type() {
        Some(Type::Boolean) => Bool::CompareBool(equality, (left.into_bool(), right.into_bool()).into()),
        Some(Type::Integer) => Bool::CompareInt(operator, left.into_int(), right.into_int()),
        Some(Type::String) => Bool::CompareStr(equality, left.into_str(), right.into_str()),
        None => match right {
            Any::Attr(name) => Bool::CompareAttr(equality, left.into(), name),
            // Only an attribute's type is not known.
            other => Bool::CompareStr(equality, left.into_str(), other.into_str()),
        },
    }
}

fn arithmetic(chain: &Chain) -> Int {
    let rest = chain
        .rest
        .iter()
        .map(|(operator, expr)| (*operator, compile(expr).into_int()))
        .collect();
    Int::Arithmetic(compile(&chain.first).into_int().into(), rest).folded()
}

fn within(equality: Equality, left: Any, set: Vec<Any>) -> Bool {
    match left.known_type() {
        Some(Type::Boolean) => Bool::InBool(equality, (left.into_bool(), booleans(set)).into()),
        Some(Type::Integer) => Bool::InInt(equality, left.into_int(), integers(set)),
        Some(Type::String) => Bool::InStr(equality, left.into_str(), strings(set)),
        None => match left {
            Any::Attr(name) => {
                let sets = Sets {
                    strings: strings(set.clone()),
                    integers: integers(set.clone()),
                    booleans: booleans(set),
                };
                Bool::InAttr(equality, name, sets.into())
            }
            other => Bool::InStr(equality, other.into_str(), strings(set)),
        },
    }
}

fn split<Node, Value: Ord>(
    nodes: Vec<Node>,
    constant: impl Fn(Node) -> Result<Value, Node>,
) -> Set<Node, Value> {
    let (mut constants, mut others) = (Vec::new(), Vec::new());
    for node in nodes {
        match constant(node) {
            Ok(value) => constants.push(value),
            Err(node) => others.push(node),
        }
    }
    constants.sort_unstable();
    constants.dedup();
    Set {
        constants: constants.into(),
        others: others.into(),
    }
}

fn strings(set: Vec<Any>) -> Set<Str, Box<str>> {
    split(set.into_iter().map(Any::into_str).collect(), |node| match node {
        Str::Const(value) => Ok(value),
        other => Err(other),
    })
}

fn integers(set: Vec<Any>) -> Set<Int, i32> {
    split(set.into_iter().map(Any::into_int).collect(), |node| match node {
        Int::Const(value) => Ok(value),
        other => Err(other),
    })
}

fn booleans(set: Vec<Any>) -> Set<Bool, bool> {
    split(set.into_iter().map(Any::into_bool).collect(), |node| match node {
        Bool::Const(value) => Ok(value),
        other => Err(other),
    })
}

fn call(name: &str, args: Vec<Any>) -> Any {
    if !functions::exists(name, args.len()) {
        return Any::Bool(Bool::NoSuchFunction(name.into()));
    }
    let mut args = args.into_iter();
    let mut next = || args.next().unwrap_or(Any::Str(Str::Const("".into())));
    match name {
        "ABS" => Any::Int(Int::Absolute(next().into_int().into()).folded()),
        "LENGTH" => Any::Int(Int::Length(next().into_str().into()).folded()),
        "LOWER" => Any::Str(Str::Lower(next().into_str().into()).folded()),
        "UPPER" => Any::Str(Str::Upper(next().into_str().into()).folded()),
        "TRIM" => Any::Str(Str::Trim(next().into_str().into()).folded()),
        "LEFT" => Any::Str(Str::Left(next().into_str().into(), next().into_int().into()).folded()),
        "RIGHT" => Any::Str(Str::Right(next().into_str().into(), next().into_int().into()).folded()),
        "SUBSTRING" => {
            let (text, position) = (next().into_str().into(), next().into_int().into());
            let length = args.next().map(|length| length.into_int().into());
            Any::Str(Str::Substring(text, position, length).folded())
        }
        "CONCAT" => Any::Str(Str::Concat(args.map(Any::into_str).collect()).folded()),
        "CONCAT_WS" => {
            let delimiter = next().into_str().into();
            Any::Str(Str::ConcatWith(delimiter, args.map(Any::into_str).collect()).folded())
        }
        "INT" => Any::Int(next().into_int()),
        "BOOL" => Any::Bool(next().into_bool()),
        "STRING" => Any::Str(next().into_str()),
        "IS_INT" => Any::Bool(Bool::Castable(next().into(), Type::Integer).folded()),
        _ => Any::Bool(Bool::Castable(next().into(), Type::Boolean).folded()),
    }
}

impl Any {
    /// The type, where it does not depend on the event.
    pub(crate) fn known_type(&self) -> Option<Type> {
        match self {
            Self::Bool(_) => Some(Type::Boolean),
            Self::Int(_) => Some(Type::Integer),
            Self::Str(_) => Some(Type::String),
            Self::Attr(name) => STRINGS.contains(&&**name).then_some(Type::String),
        }
    }

    pub(super) fn into_bool(self) -> Bool {
        match self {
            Self::Bool(node) => node,
            Self::Int(node) => Bool::FromInt(node.into()).folded(),
            Self::Str(node) => Bool::FromStr(node.into()).folded(),
            Self::Attr(name) => Bool::Attr(name),
        }
    }

    pub(super) fn into_int(self) -> Int {
        match self {
            Self::Bool(node) => Int::FromBool(node.into()).folded(),
            Self::Int(node) => node,
            Self::Str(node) => Int::FromStr(node.into()).folded(),
            Self::Attr(name) => Int::Attr(name),
        }
    }

    pub(super) fn into_str(self) -> Str {
        match self {
            Self::Bool(node) => Str::FromBool(node.into()).folded(),
            Self::Int(node) => Str::FromInt(node.into()).folded(),
            Self::Str(node) => node,
            Self::Attr(name) => Str::Attr(name),
        }
    }
}

impl Bool {
    fn folded(self) -> Self {
        let value = if self.is_constant() {
            self.test(&NoAttributes).ok()
        } else {
            None
        };
        value.map_or(self, Self::Const)
    }
}

impl Int {
    fn folded(self) -> Self {
        let value = if self.is_constant() {
            self.number(&NoAttributes).ok()
        } else {
            None
        };
        value.map_or(self, Self::Const)
    }
}

impl Str {
    fn folded(self) -> Self {
        let text = if self.is_constant() {
            self.text(&NoAttributes).ok()
        } else {
            None
        };
        match text.map(|text| text.as_str().into()) {
            Some(value) => Self::Const(value),
            None => self,
        }
    }
}
