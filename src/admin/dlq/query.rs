//! The query of `GET /dlq` and what is below it.

use super::letters::{Ask, Events, Refusal};

/// Most parts of a query.
const PARTS_MAX: usize = 1100;

/// Reads `destination=crm&since=2026-01-01T00:00:00Z&id=7&id=8`.
pub(super) fn read(query: &str) -> Result<Ask, Refusal> {
    let mut ask = Ask::default();
    for (count, part) in query.split('&').filter(|part| !part.is_empty()).enumerate() {
        if count >= PARTS_MAX {
            return Err(Refusal::Wrong(format!("a query of more than {PARTS_MAX} parts")));
        }
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = decode(value)
            .ok_or_else(|| Refusal::Wrong(format!("the value of {name:?} is not percent-encoded UTF-8")))?;
        let number = |value: &str| {
            value
                .parse::<u64>()
                .map_err(|_| Refusal::Wrong(format!("{name} wants a number, not {value:?}")))
        };
        let filter = &mut ask.filter;
        let once = |place: &mut Option<String>| match place.replace(value.clone()) {
            None => Ok(()),
            Some(_) => Err(Refusal::Wrong(format!("{name} is there twice: which one?"))),
        };
        match name {
            "destination" => once(&mut filter.destination)?,
            "route" => once(&mut filter.route)?,
            "reason" => once(&mut filter.reason)?,
            "type" => once(&mut filter.r#type)?,
            "event" => once(&mut filter.event)?,
            "since" => once(&mut filter.since)?,
            "until" => once(&mut filter.until)?,
            "id" => filter.ids.push(number(&value)?),
            "place" => filter.places.push(value),
            "in" => once(&mut ask.r#in)?,
            "after" => ask.after = number(&value)?,
            "limit" => ask.limit = Some(number(&value)?),
            "events" => {
                ask.events = match &*value {
                    "" | "true" => Events::Described,
                    "false" => Events::None,
                    "original" => Events::Original,
                    _ => {
                        return Err(Refusal::Wrong(format!(
                            "events wants true, false or original, not {value:?}"
                        )));
                    }
                }
            }
            _ => {
                return Err(Refusal::Wrong(format!(
                    "{name:?} is no filter; there are: destination route reason type event since until id place in after \
                     limit events"
                )));
            }
        }
    }
    Ok(ask)
}

/// `%41` and `+`, as forms and clients write them.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let digits = after.get(..2)?;
                rest = after.get(2..)?;
                let digit = |at: usize| {
                    char::from(digits[at])
                        .to_digit(16)
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                digit(0)? << 4 | digit(1)?
            }
            plain => *plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_query_says_which_letters() {
        let ask = read("destination=c%72m&type=a+b%2B&id=7&id=8&limit=3&after=9&events=true").unwrap();
        let there = read("in=dlt&place=3%2F1042&place=0/1").unwrap();
        assert_eq!(
            (there.r#in.as_deref(), there.filter.places),
            (Some("dlt"), vec!["3/1042".to_owned(), "0/1".to_owned()])
        );
        assert_eq!(ask.filter.destination.as_deref(), Some("crm"));
        assert_eq!(ask.filter.r#type.as_deref(), Some("a b+"));
        assert_eq!(
            (ask.filter.ids, ask.limit, ask.after, ask.events),
            (vec![7, 8], Some(3), 9, Events::Described)
        );
        assert_eq!(read("").unwrap(), Ask::default());
    }

    /// C33: and one that is misspelt does not mean everything.
    #[test]
    fn a_query_that_is_not_understood_is_refused() {
        let many = "id=1&".repeat(PARTS_MAX + 1);
        for wrong in [
            "destinatoin=crm",
            "id=x",
            "id=-1",
            "id",
            "limit=1e9",
            "type=%",
            "type=%4",
            "type=%zz",
            "type=%ff",
            "id=99999999999999999999",
            "type=a&type=b",
            "in=a&in=b",
            "events=some",
            "=",
            &many,
        ] {
            assert!(matches!(read(wrong), Err(Refusal::Wrong(_))), "{wrong}");
        }
    }
}
