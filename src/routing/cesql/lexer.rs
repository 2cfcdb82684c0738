//! Cuts the text of an expression into tokens (CESQL sections 2.2 to 2.4).
//!
//! Owns spelling: words, integers, quoted strings, symbols, and where each begins. A word is not yet a keyword, an
//! attribute or a function, and a sign is not yet part of a number: only the parser knows which is meant. Does not
//! know grammar.

use super::error::ParseError;

/// One token and the byte range that it covers.
#[derive(Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind<'s>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a token is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind<'s> {
    /// Letters, digits and underscores, not all of them digits.
    Word(&'s str),
    /// Digits only, without a sign.
    Digits(&'s str),
    /// A quoted string: quotes gone, `\` before the string's own quote gone.
    Quoted(String),
    /// An operator or a mark of punctuation.
    Symbol(&'static str),
    /// The end of the expression.
    End,
}

/// Two characters before one, so that the longest wins.
const SYMBOLS: [&str; 16] = [
    "!=", "<>", ">=", "<=", "(", ")", ",", "*", "/", "%", "+", "-", "=", "<", ">", ";",
];

/// Cuts `source` into tokens; the last one is [`Kind::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = source[at..].trim_start_matches([' ', '\t', '\r', '\n']);
        let start = source.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            tokens.push(Token {
                kind: Kind::End,
                start,
                end: start,
            });
            return Ok(tokens);
        };
        let (kind, length) = match first {
            '\'' | '"' => quoted(source, start, first)?,
            c if is_word(c) => word(rest),
            _ => symbol(source, start)?,
        };
        at = start + length;
        tokens.push(Token { kind, start, end: at });
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn word(rest: &str) -> (Kind<'_>, usize) {
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let word = &rest[..end];
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    (
        if digits {
            Kind::Digits(word)
        } else {
            Kind::Word(word)
        },
        end,
    )
}

/// Reads a quoted string. A backslash and the character after it stay together; only the string's own quote loses
/// its backslash, every other pair keeps both (the escapes of `LIKE` are among them).
fn quoted(source: &str, start: usize, quote: char) -> Result<(Kind<'_>, usize), ParseError> {
    let mut text = String::new();
    let mut chars = source[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        if c == quote {
            return Ok((Kind::Quoted(text), i + 2));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some((_, escaped)) if escaped == quote => text.push(quote),
            Some((_, other)) => text.extend(['\\', other]),
            None => break,
        }
    }
    Err(ParseError::at(
        source,
        start,
        "a string that has no end",
        &format!("a closing {quote}"),
    )
    .advice(&format!(
        "close it with {quote}, and write \\{quote} for a quote within"
    )))
}

fn symbol(source: &str, start: usize) -> Result<(Kind<'_>, usize), ParseError> {
    let rest = &source[start..];
    let foreign = [
        ("==", "="),
        ("&&", "AND"),
        ("||", "OR"),
        ("=>", ">="),
        ("=<", "<="),
    ];
    for (theirs, ours) in foreign {
        if rest.starts_with(theirs) {
            return Err(
                ParseError::at(source, start, &format!("`{theirs}`"), "an operator")
                    .advice(&format!("write {ours}")),
            );
        }
    }
    if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
        return Ok((Kind::Symbol(symbol), symbol.len()));
    }
    let found = rest.chars().next().unwrap_or(' ');
    let error = ParseError::at(
        source,
        start,
        &format!("`{}`", found.escape_debug()),
        "an attribute, a value or an operator",
    );
    Err(match found {
        '!' => error.advice("write NOT"),
        '&' => error.advice("write AND"),
        '|' => error.advice("write OR"),
        '.' => error.advice("attributes have no members, and a filter does not see data"),
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => error.advice("quote with ' or \""),
        _ => error,
    })
}
