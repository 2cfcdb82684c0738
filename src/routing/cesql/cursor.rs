//! A parser's place among its tokens.
//!
//! Owns looking ahead, taking a token, and the words of an error about the token at hand. Invariant: the place never
//! passes the end token. Does not know grammar.

use super::error::ParseError;
use super::lexer::{Kind, Token};
use super::parser::DEPTH_MAX;

const KEYWORDS: [&str; 9] = ["AND", "OR", "XOR", "NOT", "LIKE", "EXISTS", "IN", "TRUE", "FALSE"];

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) tokens: Vec<Token<'s>>,
    pub(super) at: usize,
    /// How many expressions are open around this one.
    pub(super) depth: usize,
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&self) -> &Token<'s> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> &Token<'s> {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + by).min(last)]
    }

    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().kind, Kind::Symbol(s) if s == symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn is_keyword(&self, by: usize, keyword: &str) -> bool {
        matches!(self.ahead(by).kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(0, keyword);
        self.at += usize::from(found);
        found
    }

    pub(super) fn error(&self, expected: &str) -> ParseError {
        let token = self.peek();
        let found = match &token.kind {
            Kind::End => "the end of the expression".into(),
            Kind::Quoted(_) => "a string".into(),
            _ => format!(
                "`{}`",
                super::value::shorten(&self.source[token.start..token.end])
            ),
        };
        ParseError::at(self.source, token.start, &found, expected)
    }

    pub(super) fn bounded(&self, height: usize) -> Result<usize, ParseError> {
        if height <= DEPTH_MAX {
            return Ok(height);
        }
        let expected = format!("at most {DEPTH_MAX} levels of nesting");
        Err(ParseError::at(
            self.source,
            self.peek().start,
            "an expression that nests deeper",
            &expected,
        )
        .advice("split it, or write AND and OR side by side"))
    }
}

pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}
