//! The syntax tree of a CESQL expression, and its canonical text.
//!
//! Owns the shape of what was written, before types. Invariants: a [`Chain`] has at least one operator and all of
//! its operators share one level; the tree is at most [`super::DEPTH_MAX`] high; printing a tree and parsing the
//! text again gives the same tree. Operators of one level stand side by side in one chain and not inside each
//! other, so a thousand `AND`s cost no depth. Does not know events, types or functions.

use std::fmt::{self, Display, Formatter, Write as _};

/// An expression as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `TRUE`, `42`, `'text'`.
    Literal(Literal),
    /// An attribute, by its name.
    Attribute(String),
    /// `EXISTS name`.
    Exists(String),
    /// `NOT x`.
    Not(Box<Expr>),
    /// `-x`.
    Negate(Box<Expr>),
    /// `x LIKE 'pattern'`, `x NOT LIKE 'pattern'`.
    Like {
        /// The left operand.
        value: Box<Expr>,
        /// The pattern, its quotes gone and its escapes kept.
        pattern: String,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// `x IN (a, b)`, `x NOT IN (a, b)`.
    In {
        /// The left operand.
        value: Box<Expr>,
        /// The elements: at least one.
        set: Vec<Expr>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `NAME(a, b)`; the name in upper case.
    Call {
        /// The function's name, in upper case.
        name: String,
        /// The arguments.
        args: Vec<Expr>,
        /// Where the name stands.
        at: Column,
    },
    /// `a op b op c`, read from left to right.
    Chain(Chain),
}

/// A value written into the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `TRUE` or `FALSE`, in any case.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// A quoted string, without its quotes.
    String(String),
}

/// Operands of one precedence level, in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The leftmost operand.
    pub first: Box<Expr>,
    /// What follows: at least one, all operators of one [`Level`].
    pub rest: Vec<(Operator, Expr)>,
}

/// A column of the source text, counted in characters from 1. Two trees are equal wherever they were written, so
/// all columns are equal.
#[derive(Debug, Clone, Copy)]
pub struct Column(pub usize);

impl PartialEq for Column {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Column {}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operators of CESQL section 3.4.2")]
pub enum Operator {
    And,
    Or,
    Xor,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// How tightly a binary operator binds, the loosest first (CESQL section 3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `AND`, `OR` and `XOR`: one level, from left to right.
    Logic,
    /// `=`, `<` and their kin.
    Comparison,
    /// `+` and `-`.
    Sum,
    /// `*`, `/` and `%`.
    Product,
}

/// What an operand must be to stand without parentheses; continues [`Level`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bind {
    Chain(Level),
    Postfix,
    Unary,
    Primary,
}

impl Operator {
    /// The operator's precedence level.
    #[must_use]
    pub fn level(self) -> Level {
        match self {
            Self::And | Self::Or | Self::Xor => Level::Logic,
            Self::Add | Self::Subtract => Level::Sum,
            Self::Multiply | Self::Divide | Self::Remainder => Level::Product,
            _ => Level::Comparison,
        }
    }

    /// The operator's spelling.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::And => "AND",
            Self::Or => "OR",
            Self::Xor => "XOR",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Level {
    /// The next tighter level; `None` above products.
    #[must_use]
    pub fn tighter(self) -> Option<Self> {
        match self {
            Self::Logic => Some(Self::Comparison),
            Self::Comparison => Some(Self::Sum),
            Self::Sum => Some(Self::Product),
            Self::Product => None,
        }
    }
}

impl Expr {
    fn bind(&self) -> Bind {
        match self {
            Self::Chain(chain) => Bind::Chain(chain.level()),
            Self::Like { .. } | Self::In { .. } => Bind::Postfix,
            Self::Not(_) | Self::Negate(_) => Bind::Unary,
            _ => Bind::Primary,
        }
    }

    fn write(&self, f: &mut Formatter<'_>, at_least: Bind) -> fmt::Result {
        if self.bind() < at_least {
            write!(f, "({self})")
        } else {
            write!(f, "{self}")
        }
    }
}

impl Chain {
    /// The level that all operators of this chain share.
    #[must_use]
    pub fn level(&self) -> Level {
        self.rest
            .first()
            .map_or(Level::Product, |(operator, _)| operator.level())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Attribute(name) => f.write_str(name),
            Self::Exists(name) => write!(f, "EXISTS {name}"),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                inner.write(f, Bind::Unary)
            }
            // A minus that touches digits would be read as the sign of a literal.
            Self::Negate(inner) => match **inner {
                Self::Literal(Literal::Integer(n)) if n >= 0 => write!(f, "-({n})"),
                _ => {
                    f.write_char('-')?;
                    inner.write(f, Bind::Unary)
                }
            },
            Self::Like {
                value,
                pattern,
                negated,
            } => {
                value.write(f, Bind::Postfix)?;
                f.write_str(if *negated { " NOT LIKE " } else { " LIKE " })?;
                write_quoted(f, pattern)
            }
            Self::In { value, set, negated } => {
                value.write(f, Bind::Postfix)?;
                f.write_str(if *negated { " NOT IN " } else { " IN " })?;
                write_list(f, set)
            }
            Self::Call { name, args, .. } => {
                f.write_str(name)?;
                write_list(f, args)
            }
            Self::Chain(chain) => {
                let operand = chain.level().tighter().map_or(Bind::Postfix, Bind::Chain);
                chain.first.write(f, operand)?;
                for (operator, expr) in &chain.rest {
                    write!(f, " {} ", operator.symbol())?;
                    expr.write(f, operand)?;
                }
                Ok(())
            }
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(true) => f.write_str("TRUE"),
            Self::Boolean(false) => f.write_str("FALSE"),
            Self::Integer(n) => n.fmt(f),
            Self::String(text) => write_quoted(f, text),
        }
    }
}

fn write_list(f: &mut Formatter<'_>, items: &[Expr]) -> fmt::Result {
    f.write_char('(')?;
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    f.write_char(')')
}

/// Writes a literal so that the lexer reads `text` back. A backslash takes the character after it along, so an odd
/// run of them in front of a quote needs the other kind of quote.
fn write_quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if readable_within(text, '\'') || !readable_within(text, '"') {
        '\''
    } else {
        '"'
    };
    f.write_char(quote)?;
    for c in text.chars() {
        if c == quote {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char(quote)
}

fn readable_within(text: &str, quote: char) -> bool {
    let mut odd = false;
    for c in text.chars() {
        match c {
            '\\' => odd = !odd,
            _ if c == quote && odd => return false,
            _ => odd = false,
        }
    }
    !odd
}
