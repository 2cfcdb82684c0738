//! The text that Prometheus scrapes, parsed far enough for a test to ask for a value. Samples only: that the text is
//! well-formed is for `promtool` to say.

use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<String, Vec<(Labels, f64)>>);

impl Metrics {
    /// Reads the text format. Panics on a line that is neither a comment nor a sample.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<(Labels, f64)>> = BTreeMap::new();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("no sample: {line:?}"));
            samples.entry(name.to_owned()).or_default().push((labels, value));
        }
        Self(samples)
    }

    /// The sum of a metric's samples that carry all of `labels`; further labels do not matter. A sample that does not
    /// exist counts 0, as it does for a counter that nothing has moved.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or(0.0)
    }

    /// The same, but `None` where there is no such sample.
    #[must_use]
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).reduce(|a, b| a + b)
    }

    /// The names of all samples; a histogram has three.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values that a label takes over a metric's samples.
    #[must_use]
    pub fn label_values(&self, name: &str, label: &str) -> Vec<&str> {
        self.0
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|(l, _)| l.get(label))
            .map(String::as_str)
            .collect()
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let has = |own: &Labels| {
            labels
                .iter()
                .all(|(k, v)| own.get(*k).is_some_and(|value| value == v))
        };
        self.0
            .get(name)
            .into_iter()
            .flatten()
            .filter(move |(own, _)| has(own))
            .map(|(_, value)| *value)
    }
}

/// `name{label="value",...} 1.5`, with or without labels and a time at the end.
fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.trim().to_owned(), value);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.split_ascii_whitespace().next()?;
    Some((name, labels, value.parse().ok()?))
}

/// A value up to its closing quote, with the three escapes undone, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a Things.\n# TYPE a counter\na{x=\"1\",y=\"p\"} 3\na{x=\"1\",y=\"q, \\\"r\\\" }\"} 4\n\
                        b 2.5 1700000000\nc_bucket{le=\"+Inf\"} 7\nd NaN\n";

    #[test]
    fn samples_are_found_by_some_of_their_labels() {
        let metrics = Metrics::parse(TEXT);
        assert_eq!(metrics.get("a", &[("x", "1")]), Some(7.0));
        assert_eq!(metrics.get("a", &[("y", "q, \"r\" }")]), Some(4.0));
        assert_eq!(metrics.get("a", &[("y", "z")]), None);
        assert_eq!(metrics.get("b", &[]), Some(2.5));
        assert_eq!(metrics.get("c_bucket", &[("le", "+Inf")]), Some(7.0));
        assert!(metrics.get("d", &[]).is_some_and(f64::is_nan));
        assert_eq!(metrics.sum("never", &[]).to_bits(), 0f64.to_bits());
        assert_eq!(metrics.label_values("a", "x"), ["1", "1"]);
        assert_eq!(metrics.names().collect::<Vec<_>>(), ["a", "b", "c_bucket", "d"]);
    }

    #[test]
    #[should_panic(expected = "no sample")]
    fn a_line_that_is_no_sample_is_an_error() {
        let _ = Metrics::parse("a{x=\"1} 3");
    }
}
