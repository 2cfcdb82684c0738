//! Reads tokens into a syntax tree (CESQL sections 2 and 3.6).
//!
//! Owns the grammar, the precedence and the two bounds on hostile input: the length of the text, and the depth to
//! which it nests. Invariants: the parser never recurses deeper than [`DEPTH_MAX`] allows, and no tree that it
//! returns is higher, so whatever walks the tree may recurse.
//!
//! Precedence follows the specification to the letter, where it differs from SQL too: `AND`, `OR` and `XOR` are one
//! level and read from left to right, and `NOT` binds tighter than any comparison. `notes` finds the expressions in
//! which that surprises.

use super::ast::{Chain, Column, Expr, Level, Literal, Operator};
use super::cursor::{Parser, is_keyword};
use super::error::{ParseError, column};
use super::lexer::{Kind, tokens};

/// The longest expression, in bytes.
pub const LENGTH_MAX: usize = 64 * 1024;

/// The deepest nesting of an expression.
pub const DEPTH_MAX: usize = 64;

const OPERATORS: [(&str, Operator); 15] = [
    ("AND", Operator::And),
    ("OR", Operator::Or),
    ("XOR", Operator::Xor),
    ("=", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<>", Operator::NotEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("+", Operator::Add),
    ("-", Operator::Subtract),
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("%", Operator::Remainder),
];

/// Parses an expression.
///
/// # Errors
/// A [`ParseError`] with the column of the first thing that cannot be.
pub fn parse(source: &str) -> Result<Expr, ParseError> {
    if source.len() > LENGTH_MAX {
        return Err(ParseError::at(
            source,
            0,
            &format!("{} bytes", source.len()),
            &format!("at most {LENGTH_MAX} bytes"),
        )
        .advice("split the filter into several, or compare with a prefix"));
    }
    let mut parser = Parser {
        source,
        tokens: tokens(source)?,
        at: 0,
        depth: 0,
    };
    let tall = parser.expression()?;
    match parser.peek().kind {
        Kind::End => Ok(tall.expr),
        Kind::Symbol(")") => Err(parser
            .error("the end of the expression")
            .advice("remove the ), or open it before")),
        _ => Err(parser.error("an operator or the end of the expression")),
    }
}

/// A tree with its height.
struct Tall {
    expr: Expr,
    height: usize,
}

impl<'s> Parser<'s> {
    /// Parses within one more level of recursion.
    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Tall, ParseError>,
    ) -> Result<Tall, ParseError> {
        self.depth = self.bounded(self.depth + 1)?;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Result<Tall, ParseError> {
        self.nested(|parser| parser.chain(Level::Logic))
    }

    fn chain(&mut self, level: Level) -> Result<Tall, ParseError> {
        let first = self.operand(level)?;
        let mut height = first.height;
        let mut rest = Vec::new();
        while let Some(operator) = self.operator(level) {
            self.at += 1;
            let next = self.operand(level)?;
            // Comparisons nest when they are evaluated: each compares the truth of the one before.
            height = if level == Level::Comparison {
                height + 1
            } else {
                height
            }
            .max(next.height);
            self.bounded(height + 1)?;
            rest.push((operator, next.expr));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Tall {
            expr: Expr::Chain(Chain {
                first: Box::new(first.expr),
                rest,
            }),
            height: height + 1,
        })
    }

    fn operand(&mut self, level: Level) -> Result<Tall, ParseError> {
        match level.tighter() {
            Some(tighter) => self.chain(tighter),
            None => self.postfix(),
        }
    }

    fn operator(&self, level: Level) -> Option<Operator> {
        let spelling = match self.peek().kind {
            Kind::Word(word) => word,
            Kind::Symbol(symbol) => symbol,
            _ => return None,
        };
        let operator = OPERATORS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(spelling))?
            .1;
        (operator.level() == level).then_some(operator)
    }

    fn postfix(&mut self) -> Result<Tall, ParseError> {
        let Tall { mut expr, mut height } = self.unary()?;
        loop {
            let negated =
                self.is_keyword(0, "NOT") && (self.is_keyword(1, "LIKE") || self.is_keyword(1, "IN"));
            self.at += usize::from(negated);
            let value = Box::new(expr);
            if self.eat_keyword("LIKE") {
                let pattern = self.pattern()?;
                expr = Expr::Like {
                    value,
                    pattern,
                    negated,
                };
            } else if self.eat_keyword("IN") {
                let set = self.list("a set such as (1, 2)", false)?;
                height = height.max(set.height);
                expr = Expr::In {
                    value,
                    set: set.items,
                    negated,
                };
            } else {
                return Ok(Tall { expr: *value, height });
            }
            height = self.bounded(height + 1)?;
        }
    }

    fn pattern(&mut self) -> Result<String, ParseError> {
        if let Kind::Quoted(text) = &mut self.tokens[self.at].kind {
            let pattern = std::mem::take(text);
            self.at += 1;
            return Ok(pattern);
        }
        Err(self
            .error("a quoted pattern")
            .advice("LIKE takes a string literal, such as 'com.acme.%'"))
    }

    fn unary(&mut self) -> Result<Tall, ParseError> {
        let signed = match self.peek().kind {
            Kind::Symbol(sign @ ("-" | "+")) => Some(sign),
            _ => None,
        };
        if let Some(sign) = signed {
            let next = self.ahead(1);
            if matches!(next.kind, Kind::Digits(_)) && next.start == self.peek().end {
                return self.integer();
            }
            if sign == "+" {
                return Err(self
                    .error("an expression")
                    .advice("+ is a sign only right before digits"));
            }
            self.at += 1;
            let inner = self.nested(Self::unary)?;
            return Ok(Tall {
                height: self.bounded(inner.height + 1)?,
                expr: Expr::Negate(Box::new(inner.expr)),
            });
        }
        if self.eat_keyword("NOT") {
            let inner = self.nested(Self::unary)?;
            return Ok(Tall {
                height: self.bounded(inner.height + 1)?,
                expr: Expr::Not(Box::new(inner.expr)),
            });
        }
        self.primary()
    }

    fn integer(&mut self) -> Result<Tall, ParseError> {
        let start = self.peek().start;
        self.at += usize::from(matches!(self.peek().kind, Kind::Symbol(_)));
        let digits = &self.source[start..self.peek().end];
        let Ok(value) = digits.parse() else {
            let found = format!("`{}`", super::value::shorten(digits));
            return Err(
                ParseError::at(self.source, start, &found, "an integer of 32 bits")
                    .advice("integers go from -2147483648 to 2147483647; compare longer numbers as strings"),
            );
        };
        self.at += 1;
        Ok(Tall {
            expr: Expr::Literal(Literal::Integer(value)),
            height: 1,
        })
    }

    fn primary(&mut self) -> Result<Tall, ParseError> {
        let leaf = |expr| Ok(Tall { expr, height: 1 });
        match &mut self.tokens[self.at].kind {
            Kind::Digits(_) => self.integer(),
            Kind::Quoted(text) => {
                let text = std::mem::take(text);
                self.at += 1;
                leaf(Expr::Literal(Literal::String(text)))
            }
            Kind::Symbol("(") => {
                let open = self.at;
                self.at += 1;
                let inner = self.expression()?;
                self.close(open)?;
                Ok(inner)
            }
            Kind::Word(word) => {
                let word = *word;
                if self.eat_keyword("TRUE") {
                    leaf(Expr::Literal(Literal::Boolean(true)))
                } else if self.eat_keyword("FALSE") {
                    leaf(Expr::Literal(Literal::Boolean(false)))
                } else if self.eat_keyword("EXISTS") {
                    leaf(Expr::Exists(self.attribute("the name of an attribute")?))
                } else if self.ahead(1).kind == Kind::Symbol("(") && !is_keyword(word) {
                    self.call(word)
                } else {
                    leaf(Expr::Attribute(self.attribute("an expression")?))
                }
            }
            _ => Err(self.error("an expression")),
        }
    }

    fn attribute(&mut self, expected: &str) -> Result<String, ParseError> {
        let Kind::Word(word) = self.peek().kind else {
            return Err(self.error(expected));
        };
        if is_keyword(word) {
            let advice = format!(
                "{} is a word of the language and cannot name an attribute",
                word.to_ascii_uppercase()
            );
            return Err(self.error(expected).advice(&advice));
        }
        if !word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            let error = self.error("the name of an attribute");
            let plain = word.to_ascii_lowercase();
            return Err(if plain.contains('_') {
                error.advice("names of attributes have lower-case letters and digits only")
            } else {
                error.advice(&format!("names of attributes are in lower case: write {plain}"))
            });
        }
        self.at += 1;
        Ok(word.to_owned())
    }

    fn call(&mut self, word: &str) -> Result<Tall, ParseError> {
        if !word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') || word.starts_with('_') {
            return Err(self
                .error("the name of a function")
                .advice("names of functions have letters and _ only"));
        }
        let at = Column(column(self.source, self.peek().start));
        self.at += 1;
        let args = self.list("arguments in parentheses", true)?;
        let height = self.bounded(args.height + 1)?;
        Ok(Tall {
            expr: Expr::Call {
                name: word.to_ascii_uppercase(),
                args: args.items,
                at,
            },
            height,
        })
    }

    fn list(&mut self, expected: &str, may_be_empty: bool) -> Result<List, ParseError> {
        let open = self.at;
        if !self.eat("(") {
            return Err(self.error(expected));
        }
        let mut list = List {
            items: Vec::new(),
            height: 0,
        };
        if matches!(self.peek().kind, Kind::Symbol(")")) {
            if !may_be_empty {
                return Err(self
                    .error("an expression")
                    .advice("a set has at least one element"));
            }
            self.at += 1;
            return Ok(list);
        }
        loop {
            let item = self.expression()?;
            list.height = list.height.max(item.height);
            list.items.push(item.expr);
            if !self.eat(",") {
                self.close(open)?;
                return Ok(list);
            }
        }
    }

    /// Takes the `)` that closes the `(` at token `open`.
    fn close(&mut self, open: usize) -> Result<(), ParseError> {
        if self.eat(")") {
            return Ok(());
        }
        let at = column(self.source, self.tokens[open].start);
        Err(self
            .error("an operator, `,` or `)`")
            .advice(&format!("close the ( of column {at}")))
    }
}

struct List {
    items: Vec<Expr>,
    height: usize,
}
