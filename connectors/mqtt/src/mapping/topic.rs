//! What MQTT allows as a topic's name, as a filter and as the name of a share (MQTT 5, 4.7 and 4.8.2; 3.1.1, 4.7).

use super::FIELD_MAX;

/// What may not stand in one level that an event names: the separator and the wildcards.
pub(crate) const LEVEL_FORBIDDEN: &[char] = &['/', '+', '#'];

/// The first level of a shared subscription.
const SHARE: &str = "$share/";

/// Why a text is no topic name; a predicate for errors.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > FIELD_MAX {
        return Err("is longer than 65,535 bytes, the limit of MQTT");
    }
    if name.contains(['+', '#']) {
        return Err("has a wildcard, which only a filter may have");
    }
    if name.contains(char::is_control) {
        return Err("has a control character");
    }
    Ok(())
}

/// Why a text is no topic filter.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn check_filter(filter: &str) -> Result<(), (&'static str, &'static str)> {
    if filter.starts_with(SHARE) || filter == "$share" {
        return Err((
            "names a shared subscription",
            "write the filter without `$share/GROUP/`, and name the group with `share:` (and `sessions:` for parallel ones)",
        ));
    }
    if filter.is_empty() {
        return Err((
            "is empty",
            "write a topic such as plant/7, or plant/# for all below it",
        ));
    }
    if filter.len() > FIELD_MAX {
        return Err(("is longer than 65,535 bytes", "MQTT has no longer ones"));
    }
    if filter.contains(char::is_control) {
        return Err(("has a control character", "take it away"));
    }
    let levels = filter.split('/').count();
    for (at, level) in filter.split('/').enumerate() {
        if level.contains('#') && (level != "#" || at + 1 != levels) {
            return Err((
                "has a `#` that is not the whole last level",
                "write it at the end and alone between slashes, such as plant/#",
            ));
        }
        if level.contains('+') && level != "+" {
            return Err((
                "has a `+` that is not a whole level",
                "write it alone between slashes, such as plant/+/temperature",
            ));
        }
    }
    Ok(())
}

/// Whether a text can be the name of a share.
pub(crate) fn is_share_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 1024
        && !name.contains(LEVEL_FORBIDDEN)
        && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_has_no_wildcard_and_no_control_character() {
        for good in ["a", "/", "a//b", "$aws/things", "caf\u{e9}/\u{1f600}", "a b"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a/+", "a#", "a\0b", "a\nb", &"x".repeat(65_536)] {
            assert!(check_name(bad).is_err(), "{}", bad.escape_debug());
        }
    }

    #[test]
    fn a_filter_has_wildcards_as_whole_levels_only() {
        for good in ["a", "#", "+", "a/#", "+/b/+", "/", "a//+/#", "$SYS/#"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "empty"),
            ("a/#/b", "last level"),
            ("a#", "last level"),
            ("a/b+", "whole level"),
            ("++", "whole level"),
            ("a\0", "control"),
            ("$share/g/a", "shared"),
        ] {
            let (what, remedy) = check_filter(bad).unwrap_err();
            assert!(what.contains(why) && !remedy.is_empty(), "{bad}: {what}");
        }
        assert!(check_filter("$share/g/a").unwrap_err().1.contains("`share:`"));
    }

    #[test]
    fn a_share_is_one_level_without_wildcards() {
        assert!(
            is_share_name("weft-plant")
                && !is_share_name("")
                && !is_share_name("a/b")
                && !is_share_name("a+")
        );
    }
}
