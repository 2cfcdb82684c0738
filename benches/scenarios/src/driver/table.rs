//! The table: least, median and most of each figure over the rounds, as Markdown, so that it can go into the docs.

use std::fmt;

/// The figures of one run.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// User and system time per event, in microseconds.
    pub cpu_us: f64,
    /// Events per second.
    pub rate: f64,
    /// Peak memory in MiB.
    pub peak_mib: f64,
    /// Milliseconds until half, and 99 of 100, of the events were answered at a fixed rate.
    pub latency: Option<(f64, f64)>,
}

/// Least, median and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    /// Over some values; `None` over none.
    #[must_use]
    pub fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { least, median, most })
    }
}

/// `median (least-most)`, with the decimals that the precision asks for.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        write!(
            f,
            "{:.digits$} ({:.digits$}-{:.digits$})",
            self.median, self.least, self.most
        )
    }
}

/// A table of a plain loop and the router; a side that did not run has no line.
#[must_use]
pub fn render(title: &str, plain_name: &str, plain: &[Sample], weft: &[Sample]) -> String {
    render_as(title, (plain_name, "weft"), "weft / plain", (plain, weft))
}

/// A table of any two sides.
#[must_use]
pub fn render_as(
    title: &str,
    (plain_name, weft_name): (&str, &str),
    ratio_name: &str,
    (plain, weft): (&[Sample], &[Sample]),
) -> String {
    let mut text = format!("### {title}\n\n");
    let latency = plain.iter().chain(weft).any(|sample| sample.latency.is_some());
    text += "| | CPU us/event | events/s | peak MiB |";
    text += if latency {
        " p50 ms | p99 ms |\n|---|---|---|---|---|---|\n"
    } else {
        "\n|---|---|---|---|\n"
    };
    for (name, samples) in [(plain_name, plain), (weft_name, weft)] {
        if !samples.is_empty() {
            text += &line(name, samples, latency, |value| value);
        }
    }
    let pairs: Vec<Sample> = plain
        .iter()
        .zip(weft)
        .map(|(plain, weft)| ratio(plain, weft))
        .collect();
    if !pairs.is_empty() {
        text += &line(&format!("{ratio_name}, round by round"), &pairs, latency, |_| 2);
    }
    text
}

fn line(name: &str, samples: &[Sample], latency: bool, digits: impl Fn(usize) -> usize) -> String {
    let cell = |decimals: usize, value: &dyn Fn(&Sample) -> Option<f64>| {
        let spread = Spread::over(samples.iter().filter_map(value));
        spread.map_or_else(|| " |".to_owned(), |s| format!(" {s:.0$} |", digits(decimals)))
    };
    let mut text = format!("| {name} |");
    text += &cell(1, &|s| Some(s.cpu_us));
    text += &cell(0, &|s| Some(s.rate));
    text += &cell(1, &|s| Some(s.peak_mib));
    if latency {
        text += &cell(2, &|s| s.latency.map(|l| l.0));
        text += &cell(2, &|s| s.latency.map(|l| l.1));
    }
    text + "\n"
}

fn ratio(plain: &Sample, weft: &Sample) -> Sample {
    Sample {
        cpu_us: weft.cpu_us / plain.cpu_us,
        rate: weft.rate / plain.rate,
        peak_mib: weft.peak_mib / plain.peak_mib,
        latency: weft
            .latency
            .zip(plain.latency)
            .map(|(weft, plain)| (weft.0 / plain.0, weft.1 / plain.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_a_median_of_odd_and_even_numbers() {
        let odd = Spread::over([3.0, 1.0, 2.0].into_iter());
        assert_eq!(
            odd,
            Some(Spread {
                least: 1.0,
                median: 2.0,
                most: 3.0
            })
        );
        let even = Spread::over([4.0, 1.0, 2.0, 3.0].into_iter());
        assert_eq!(
            even,
            Some(Spread {
                least: 1.0,
                median: 2.5,
                most: 4.0
            })
        );
        assert_eq!(Spread::over(std::iter::empty()), None);
    }

    #[test]
    fn the_ratio_is_taken_within_each_round() {
        let sample = |cpu_us, latency| Sample {
            cpu_us,
            rate: 1000.0,
            peak_mib: 8.0,
            latency,
        };
        let plain = [sample(10.0, None), sample(20.0, None)];
        let weft = [sample(20.0, None), sample(20.0, None)];
        let text = render("a to b", "plain", &plain, &weft);
        assert!(
            text.contains("| plain | 15.0 (10.0-20.0) | 1000 (1000-1000) | 8.0 (8.0-8.0) |\n"),
            "{text}"
        );
        assert!(
            text.contains("round by round | 1.50 (1.00-2.00) | 1.00 (1.00-1.00)"),
            "{text}"
        );
        assert!(!render("a to b", "plain", &plain, &[]).contains("weft"));
        assert!(
            render("a", "plain", &[sample(1.0, Some((0.25, 1.5)))], &[])
                .contains("| 0.25 (0.25-0.25) | 1.50 ")
        );
    }
}
