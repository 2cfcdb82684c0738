//! "Did you mean X?"

/// Longest name that is compared; a longer one has no suggestion.
const NAME_MAX: usize = 64;

/// The candidate that `name` was probably meant to be, if one is near enough: at most a third of its letters differ
/// (inserted, left out, exchanged or swapped with their neighbour), or it is `name` but for case, `-` and `_`, or
/// the plural.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    if wanted.is_empty() || wanted.len() > NAME_MAX {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let offered = plain(candidate);
            if offered.is_empty() || offered.len() > NAME_MAX {
                return None;
            }
            let allowed = (wanted.len().max(offered.len()) / 3).clamp(1, 4);
            // A word of one or two letters is near to everything.
            let allowed = if wanted.len().min(offered.len()) <= 2 {
                0
            } else {
                allowed
            };
            let distance = distance(&wanted, &offered);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lower case without separators.
fn plain(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Optimal string alignment distance: three rows of the usual table.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, &right) in b.iter().enumerate() {
            let exchanged = above[j] + usize::from(left != right);
            row[j + 1] = exchanged.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == b[j - 1] && a[i - 1] == right {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["brokers", "topic", "group", "start"];
        assert_eq!(nearest("brokrs", known), Some("brokers"));
        assert_eq!(nearest("tpoic", known), Some("topic"));
        assert_eq!(nearest("Topics", known), Some("topic"));
        assert_eq!(nearest("bro_kers", known), Some("brokers"));
    }

    #[test]
    fn what_is_far_from_everything_suggests_nothing() {
        assert_eq!(nearest("password", ["brokers", "topic"]), None);
        assert_eq!(nearest("", ["topic"]), None);
        assert_eq!(nearest("to", ["on"]), None);
    }
}
