//! The patterns of `LIKE` (CESQL section 3.4.3).
//!
//! Owns compiled patterns and their matching. `%` is any run of characters, `_` any one character, `\%` and `\_`
//! those two themselves; every other backslash stands for itself. Invariant: matching takes at most (length of the
//! text) x (length of the pattern) steps and no memory, so no pattern can be hostile.

/// A compiled pattern: the literal runs between its `%`s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Pieces between `%`s, in order; never empty as a list.
    pieces: Box<[Piece]>,
}

/// A run without `%`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Bytes that must be equal.
    Plain(Box<str>),
    /// Characters, where `None` is `_`.
    Wild(Box<[Option<char>]>),
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        let mut pieces = vec![Vec::new()];
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            let last = pieces.last_mut().expect("starts with one piece and only grows");
            match c {
                '%' => pieces.push(Vec::new()),
                '_' => last.push(None),
                '\\' => last.push(chars.next_if(|next| matches!(next, '%' | '_')).or(Some('\\'))),
                _ => last.push(Some(c)),
            }
        }
        Self {
            pieces: pieces.into_iter().map(Piece::new).collect(),
        }
    }

    /// The one text that matches, if the pattern has no wildcard.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &*self.pieces {
            [Piece::Plain(text)] => Some(text),
            _ => None,
        }
    }

    /// What every match begins with; may be empty.
    pub(crate) fn prefix(&self) -> &str {
        self.pieces.first().map_or("", Piece::plain)
    }

    /// What every match ends with; may be empty.
    pub(crate) fn suffix(&self) -> &str {
        self.pieces.last().map_or("", Piece::plain)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let (first, rest) = self
            .pieces
            .split_first()
            .expect("a pattern has at least one piece");
        let Some((last, middle)) = rest.split_last() else {
            return first.at_start(text) == Some(text.len());
        };
        let Some(mut at) = first.at_start(text) else {
            return false;
        };
        // The leftmost place for each middle piece leaves the most room for those after it.
        for piece in middle {
            match piece.find(&text[at..]) {
                Some(end) => at += end,
                None => return false,
            }
        }
        last.at_end(&text[at..])
    }
}

impl Piece {
    fn new(chars: Vec<Option<char>>) -> Self {
        match chars.iter().copied().collect::<Option<String>>() {
            Some(text) => Self::Plain(text.into()),
            None => Self::Wild(chars.into()),
        }
    }

    fn plain(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Wild(_) => "",
        }
    }

    /// Where the piece ends if it stands at the start of `text`.
    fn at_start(&self, text: &str) -> Option<usize> {
        match self {
            Self::Plain(piece) => text.starts_with(&**piece).then_some(piece.len()),
            Self::Wild(piece) => {
                let mut chars = text.chars();
                for wanted in piece {
                    let found = chars.next()?;
                    if wanted.is_some_and(|wanted| wanted != found) {
                        return None;
                    }
                }
                Some(text.len() - chars.as_str().len())
            }
        }
    }

    /// Where the leftmost occurrence of the piece ends.
    fn find(&self, text: &str) -> Option<usize> {
        match self {
            Self::Plain(piece) => text.find(&**piece).map(|start| start + piece.len()),
            Self::Wild(_) => text
                .char_indices()
                .find_map(|(start, _)| self.at_start(&text[start..]).map(|end| start + end)),
        }
    }

    fn at_end(&self, text: &str) -> bool {
        match self {
            Self::Plain(piece) => text.ends_with(&**piece),
            Self::Wild(piece) => {
                let mut chars = text.chars();
                piece
                    .iter()
                    .rev()
                    .all(|wanted| match (wanted, chars.next_back()) {
                        (_, None) => false,
                        (None, Some(_)) => true,
                        (Some(wanted), Some(found)) => *wanted == found,
                    })
            }
        }
    }
}
