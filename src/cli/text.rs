//! How numbers, ages and tables look on a terminal.
//!
//! Invariant: nothing that came from a remote (an error's text, an address) can move the cursor or colour the screen.

use std::fmt::Write as _;
use std::io::{self, Write};

/// Replaces control characters, which a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// `0.4s`, `12s`, `3m`, `2h5m`, `3d4h`.
pub(super) fn age(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    // Whole seconds from here on; far below the limit of u64 for any life of a process.
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m", whole / 60),
        3600..86_400 => format!("{}h{}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d{}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// `512 B`, `1.5 KiB`, `256.0 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A table whose columns are as wide as their widest cell; numbers stand to the right.
pub(super) struct Table {
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns by their heading; one that begins with `>` stands to the right.
    pub(super) fn new(headings: &[&'static str]) -> Table {
        let column = |heading: &&'static str| match heading.strip_prefix('>') {
            Some(name) => (name, true),
            None => (*heading, false),
        };
        Table {
            columns: headings.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// One cell a column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let headings: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let all = || std::iter::once(&headings).chain(&self.rows);
        let width = |at: usize| {
            all()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| width(at).unwrap_or(0)).collect();
        for row in all() {
            let mut line = String::new();
            for ((cell, (_, right)), width) in row.iter().zip(&self.columns).zip(&widths) {
                let gap = if line.is_empty() { "" } else { "  " };
                // Writing to a String cannot fail.
                let _ = if *right {
                    write!(line, "{gap}{cell:>width$}")
                } else {
                    write!(line, "{gap}{cell:<width$}")
                };
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ages_and_sizes_are_short() {
        let ages = [
            (0.04, "0.0s"),
            (9.96, "10.0s"),
            (59.9, "59s"),
            (3599.0, "59m"),
            (7500.0, "2h5m"),
        ];
        for (seconds, text) in ages {
            assert_eq!(age(seconds), text);
        }
        assert_eq!(age(90_000.0 * 4.0), "4d4h");
        assert_eq!(age(f64::NAN), "-");
        assert_eq!(
            [bytes(1023), bytes(1536), bytes(256 << 20)],
            ["1023 B", "1.5 KiB", "256.0 MiB"]
        );
    }

    #[test]
    fn columns_line_up_and_remotes_cannot_colour_the_screen() {
        let mut table = Table::new(&["NAME", ">LAG", "ERROR"]);
        table.row(vec![
            "web".to_owned(),
            "7".to_owned(),
            "\u{1b}[31mred\r\n".to_owned(),
        ]);
        table.row(vec!["orders".to_owned(), "1200".to_owned(), String::new()]);
        let mut text = Vec::new();
        table.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "NAME     LAG  ERROR\nweb        7  \u{fffd}[31mred\u{fffd}\u{fffd}\norders  1200\n"
        );
    }
}
