//! What has left one partition, and how that is put into a commit.
//!
//! Owns: the lowest offset that has not left, the spans above it that have, and their text in a commit's metadata:
//! `weft1:5+5,2` is "from the committed offset on, 5 stay and 5 left, 2 stay and 1 left".
//! Invariants: spans are apart, ascending and above `next`; nothing counts as left that was not said to have left, whatever
//! the metadata holds; the text is no longer than asked, and what it leaves out is counted.
//! Does not know: brokers; which offsets hold records.
//!
//! Lengths are told, not offsets: they are short, and so more of them fit. Where not all fit, the spans with the most
//! letters are told, so that the fewest come again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Shape and version of the metadata.
const SHAPE: &str = "weft1:";
/// Most spans of one partition that are held in memory, some 2 MiB; a removal that would begin a further one is not
/// remembered, and counted.
const SPANS_MAX: usize = 32_768;

/// What has left a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Marks {
    /// The lowest offset that has not left.
    next: i64,
    /// First offset to the span that begins there; all lie above `next`.
    above: BTreeMap<i64, Span>,
    /// Letters that left and found no room in memory.
    forgotten: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    /// The first offset behind it.
    end: i64,
    /// Letters in it; offsets that hold none may lie between them.
    letters: u64,
}

/// The text of a commit's metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) text: String,
    /// Letters that left and that it does not tell.
    pub(super) forgotten: u64,
}

impl Marks {
    /// Nothing has left from `next` on.
    pub(super) fn at(next: i64) -> Marks {
        Marks {
            next,
            above: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Reads what a commit holds: its offset and its metadata.
    ///
    /// # Errors
    /// The metadata is not of this shape. It must not be guessed at: what counts as left is never seen again.
    pub(super) fn read(next: i64, metadata: &str) -> Result<Marks, String> {
        let mut marks = Marks::at(next);
        let told = match metadata.strip_prefix(SHAPE) {
            None if metadata.is_empty() => return Ok(marks),
            None => return Err("it is not Weft's".to_owned()),
            Some(told) => told,
        };
        let mut at = next;
        for run in told.split(',') {
            let (stay, left) = run.split_once('+').unwrap_or((run, "1"));
            let span = length(stay).zip(length(left)).and_then(|(stay, left)| {
                let first = at.checked_add(stay)?;
                Some((first, first.checked_add(left)?))
            });
            let Some((first, end)) = span else {
                let shown: String = run.escape_default().take(40).collect();
                return Err(format!("`{shown}` in it is no run of letters"));
            };
            let letters = u64::try_from(end - first).unwrap_or(0);
            marks.above.insert(first, Span { end, letters });
            at = end;
        }
        Ok(marks)
    }

    /// The lowest offset that has not left: what is committed.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Behind the last offset that has left.
    pub(super) fn end(&self) -> i64 {
        self.above
            .last_key_value()
            .map_or(self.next, |(_, span)| span.end)
    }

    /// Letters that left and that are not even held in memory.
    #[cfg(test)]
    fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The lowest offset from `offset` on that has not left.
    pub(super) fn next_left(&self, offset: i64) -> i64 {
        let offset = offset.max(self.next);
        match self.above.range(..=offset).next_back() {
            Some((_, span)) if span.end > offset => span.end,
            _ => offset,
        }
    }

    /// Whether a letter has left.
    pub(super) fn has_left(&self, offset: i64) -> bool {
        self.next_left(offset) != offset
    }

    /// The letter at `offset` has left, and with it `from..offset`, which hold none.
    pub(super) fn remove(&mut self, from: i64, offset: i64) {
        let from = from.min(offset);
        let mut span = Span {
            end: offset + 1,
            letters: 1,
        };
        let mut first = from.max(self.next);
        if first >= span.end || self.has_left(offset) {
            return;
        }
        // Whatever it touches on either side becomes one with it.
        if let Some((&before, other)) = self.above.range(..=first).next_back()
            && other.end >= first
        {
            first = before;
        }
        let touched: Vec<i64> = self
            .above
            .range(first..=span.end)
            .map(|(&first, _)| first)
            .collect();
        for other in touched.iter().filter_map(|first| self.above.remove(first)) {
            span.end = span.end.max(other.end);
            span.letters += other.letters;
        }
        if first == self.next {
            self.next = span.end;
        } else if self.above.len() < SPANS_MAX {
            self.above.insert(first, span);
        } else {
            self.forgotten += span.letters;
        }
    }

    /// Nothing below `low` is there any more.
    pub(super) fn raise(&mut self, low: i64) {
        if low <= self.next {
            return;
        }
        self.next = self.next_left(low);
        self.above = self.above.split_off(&self.next);
    }

    /// The metadata, of `room` bytes at most.
    pub(super) fn write(&self, room: usize) -> Written {
        let mut spans: Vec<(i64, Span)> = self.above.iter().map(|(&first, &span)| (first, span)).collect();
        let mut text = self.runs(&spans);
        if text.len() > room {
            spans.sort_by_key(|(first, span)| (std::cmp::Reverse(span.letters), *first));
            // Each span more makes the text longer.
            let (mut fit, mut too_many) = (0, spans.len());
            while too_many - fit > 1 {
                let middle = fit.midpoint(too_many);
                if self.few(&spans, middle).len() <= room {
                    fit = middle;
                } else {
                    too_many = middle;
                }
            }
            text = self.few(&spans, fit);
            spans.drain(..fit);
        } else {
            spans.clear();
        }
        let left_out: u64 = spans.iter().map(|(_, span)| span.letters).sum();
        Written {
            text,
            forgotten: self.forgotten + left_out,
        }
    }

    /// The text of the first `count` of `spans`, which are in no order.
    fn few(&self, spans: &[(i64, Span)], count: usize) -> String {
        let mut few = spans[..count].to_vec();
        few.sort_unstable_by_key(|(first, _)| *first);
        self.runs(&few)
    }

    /// The text of ascending spans.
    fn runs(&self, spans: &[(i64, Span)]) -> String {
        let mut text = String::new();
        let mut at = self.next;
        for (first, span) in spans {
            let before = if text.is_empty() { SHAPE } else { "," };
            let (stay, left) = (first - at, span.end - first);
            // Writing to a string cannot fail.
            let _ = write!(text, "{before}{stay}");
            if left != 1 {
                let _ = write!(text, "+{left}");
            }
            at = span.end;
        }
        text
    }
}

/// The length of a run: digits only, and not none.
fn length(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|length| *length > 0)
}
