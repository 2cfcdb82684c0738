//! A scanner for JSON text (RFC 8259): finds where values begin and end, checks the grammar, builds nothing.
//!
//! Invariants: no recursion; nesting is a stack of bits of fixed size; each byte is looked at once.
//! NOTE: a lone surrogate escape is grammatical JSON, so it passes inside data; it is refused where text is
//! needed.

use std::borrow::Cow;
use std::ops::Range;

/// How deep arrays and objects may nest: what the usual parsers take, so that what we pass on can be read.
pub const DEPTH_MAX: u32 = 128;

/// A fault of the text, with its byte offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The text between a string's quotes, not unescaped yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    pub(super) raw: &'a str,
    escaped: bool,
    at: usize,
}

impl<'a> Quoted<'a> {
    /// The string's value.
    #[inline]
    pub(super) fn text(self) -> Result<Cow<'a, str>, Fault> {
        if self.escaped {
            self.unescaped()
        } else {
            Ok(Cow::Borrowed(self.raw))
        }
    }

    #[cold]
    fn unescaped(self) -> Result<Cow<'a, str>, Fault> {
        let mut out = String::with_capacity(self.raw.len());
        unescape(self.raw, &mut out).ok_or(Fault {
            at: self.at,
            what: "a string has an unpaired surrogate",
        })?;
        Ok(Cow::Owned(out))
    }
}

#[derive(Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0 }
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    /// Skips white space and looks at the next byte; 0 at the end, which no grammar rule begins with.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !is_space(char::from(*byte)) {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    /// Takes the byte if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.peek();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.fault("there is more after the JSON value"))
        }
    }

    /// A member's name and the colon behind it.
    pub(super) fn name(&mut self) -> Result<Quoted<'a>, Fault> {
        if self.peek() != b'"' {
            return Err(self.fault("a member's name in double quotes is missing"));
        }
        let name = self.string()?;
        if self.eat(b':') {
            Ok(name)
        } else {
            Err(self.fault("a colon is missing after a member's name"))
        }
    }

    /// A string; the opening quote is next.
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let (mut at, mut escaped) = (start, false);
        loop {
            at += plain_length(&bytes[at..]);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') if hex4(&bytes[at + 2..]).is_some() => 6,
                        _ => {
                            return Err(Fault {
                                at,
                                what: "a string has an unknown escape",
                            });
                        }
                    };
                }
                Some(_) => {
                    return Err(Fault {
                        at,
                        what: "a string has a control character, which must be escaped",
                    });
                }
                None => {
                    return Err(Fault {
                        at,
                        what: "a string has no end",
                    });
                }
            }
        }
        self.at = at + 1;
        Ok(Quoted {
            raw: &self.text[start..at],
            escaped,
            at: start,
        })
    }

    /// A number's text.
    pub(super) fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.at += usize::from(self.next_is(|byte| byte == b'-'));
        let leading_zero = self.next_is(|byte| byte == b'0');
        let whole = self.digits();
        let mut holds = whole > 0 && !(leading_zero && whole > 1);
        if self.next_is(|byte| byte == b'.') {
            self.at += 1;
            holds &= self.digits() > 0;
        }
        if self.next_is(|byte| matches!(byte, b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(self.next_is(|byte| matches!(byte, b'+' | b'-')));
            holds &= self.digits() > 0;
        }
        if holds {
            Ok(&self.text[start..self.at])
        } else {
            Err(Fault {
                at: start,
                what: "a number is malformed",
            })
        }
    }

    /// `true`, `false` or `null`.
    pub(super) fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("a value is missing or is no JSON"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Any value: where it begins and ends.
    pub(super) fn value(&mut self) -> Result<Range<usize>, Fault> {
        let mut nest = Nest::default();
        self.peek();
        let start = self.at;
        loop {
            match self.peek() {
                open @ (b'{' | b'[') => {
                    let object = open == b'{';
                    self.at += 1;
                    nest.push(object)
                        .ok_or_else(|| self.fault("arrays and objects nest deeper than 128"))?;
                    if self.eat(if object { b'}' } else { b']' }) {
                        nest.pop();
                    } else {
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b'"' => _ = self.string()?,
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => _ = self.number()?,
                _ => return Err(self.fault("a value is missing or is no JSON")),
            }
            loop {
                let Some(object) = nest.top() else {
                    return Ok(start..self.at);
                };
                match (self.peek(), object) {
                    (b',', _) => {
                        self.at += 1;
                        if object {
                            self.name()?;
                        }
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        nest.pop();
                    }
                    _ => return Err(self.fault("a comma or a closing bracket is missing")),
                }
            }
        }
    }

    /// Goes to the value of the object's member, if the next value is an object that has it.
    pub(super) fn enter_member(&mut self, wanted: &str) -> Result<Option<()>, Fault> {
        if !self.eat(b'{') || self.peek() == b'}' {
            return Ok(None);
        }
        loop {
            if self.name()?.text().is_ok_and(|name| name == wanted) {
                return Ok(Some(()));
            }
            self.value()?;
            if !self.eat(b',') {
                return Ok(None);
            }
        }
    }

    /// Goes to the array's element, if the next value is an array that has it.
    pub(super) fn enter_element(&mut self, wanted: usize) -> Result<Option<()>, Fault> {
        if !self.eat(b'[') || self.peek() == b']' {
            return Ok(None);
        }
        for _ in 0..wanted {
            self.value()?;
            if !self.eat(b',') {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    /// The next value as text: a string's content, anything else as it is written; nothing for `null`.
    pub(super) fn text(&mut self) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.peek() {
            b'"' => self.string()?.text().map(Some),
            b'n' => self.literal("null").map(|()| None),
            _ => self.value().map(|range| Some(Cow::Borrowed(&self.text[range]))),
        }
    }

    fn next_is(&self, matches: impl Fn(u8) -> bool) -> bool {
        self.text
            .as_bytes()
            .get(self.at)
            .is_some_and(|byte| matches(*byte))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.next_is(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

/// RFC 8259 section 2.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Which kind of container each level is: a set bit is an object.
#[derive(Default)]
struct Nest {
    bits: u128,
    depth: u32,
}

impl Nest {
    fn push(&mut self, object: bool) -> Option<()> {
        self.bits = self.bits << 1 | u128::from(object);
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn pop(&mut self) {
        self.bits >>= 1;
        self.depth -= 1;
    }

    fn top(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

/// How many bytes at the start are neither quote, backslash nor control character: eight at a time, then one
/// by one.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is zero (exact for the lowest one, which is all that is asked).
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hit = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if hit != 0 {
            return at * 8 + (hit.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len())
}

/// Appends the string's value; `None` for an unpaired surrogate. The escapes were checked by the scanner.
fn unescape(raw: &str, out: &mut String) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest.as_bytes()[at + 1..];
        let mut length = 2;
        out.push(match escape.first()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex4(&escape[1..])?;
                length = 6;
                match (first, escape.get(5..7)) {
                    (0xd800..=0xdbff, Some(b"\\u")) => {
                        let second = hex4(&escape[7..]).filter(|code| (0xdc00..=0xdfff).contains(code))?;
                        length = 12;
                        char::from_u32(0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00)))?
                    }
                    _ => char::from_u32(first)?,
                }
            }
            other => char::from(*other),
        });
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Some(())
}

fn hex4(bytes: &[u8]) -> Option<u32> {
    bytes
        .get(..4)?
        .iter()
        .try_fold(0, |sum, byte| Some(sum << 4 | char::from(*byte).to_digit(16)?))
}
