//! Which filters the broker has granted, on this connection or an earlier one of the session.
//!
//! Invariant: a session that the broker kept is subscribed to once in this process' life, so that a mere reconnect brings no
//! retained messages again; a filter that was refused is asked for again, paced by the session's backoff.
//! Turned down: UNSUBSCRIBE at a stop: the session would no longer gather what is published meanwhile.

use crate::client::wire::reason::describe;
use crate::client::wire::subscribe::{self, Options, Suback};
use crate::config::Version;

/// The packet identifier of every SUBSCRIBE: one at a time is on its way.
const ID: u16 = 1;

/// The filters of one session.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    filters: Vec<Filter>,
    options: Options,
    /// Places in `filters` of what is asked for and not answered.
    asked: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Filter {
    text: String,
    granted: bool,
}

/// What a SUBACK said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// All filters are granted, and what a person should know of it.
    Granted(Option<String>),
    /// Some are not; the line names each.
    Refused(String),
}

impl Subscription {
    /// All filters, none of them granted; `share` is the group of a shared subscription.
    pub(super) fn new(filters: &[String], share: Option<&str>, options: Options) -> Subscription {
        let text = |filter: &String| match share {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.clone(),
        };
        let filters = filters.iter().map(|filter| Filter {
            text: text(filter),
            granted: false,
        });
        Subscription {
            filters: filters.collect(),
            options,
            asked: Vec::new(),
        }
    }

    /// A new connection: writes a SUBSCRIBE for what is missing. Whether there was anything to ask for.
    pub(super) fn ask(&mut self, version: Version, session_present: bool, out: &mut Vec<u8>) -> bool {
        if !session_present {
            self.filters.iter_mut().for_each(|filter| filter.granted = false);
        }
        let missing = self
            .filters
            .iter()
            .enumerate()
            .filter(|(_, filter)| !filter.granted);
        self.asked = missing.map(|(at, _)| at).collect();
        if self.asked.is_empty() {
            return false;
        }
        let texts = self.asked.iter().filter_map(|at| self.filters.get(*at));
        subscribe::encode(
            out,
            version,
            ID,
            texts.map(|filter| filter.text.as_str()),
            self.options,
        );
        true
    }

    /// The answer to what was asked; `None` for an answer to something else.
    pub(super) fn answered(&mut self, version: Version, suback: &Suback<'_>) -> Option<Answer> {
        if suback.id != ID || suback.codes.len() != self.asked.len() || self.asked.is_empty() {
            return None;
        }
        let (mut refused, mut lower) = (Vec::new(), Vec::new());
        for (at, code) in std::mem::take(&mut self.asked).into_iter().zip(suback.codes) {
            let Some(filter) = self.filters.get_mut(at) else {
                continue;
            };
            filter.granted = *code < 0x80;
            if !filter.granted {
                let why = match version {
                    Version::V3 => "refused".to_owned(),
                    Version::V5 => describe(*code, suback.reason),
                };
                refused.push(format!("`{}`: {why}", filter.text));
            } else if *code < self.options.qos {
                lower.push(format!("`{}` with QoS {code}", filter.text));
            }
        }
        if !refused.is_empty() {
            return Some(Answer::Refused(format!(
                "the broker does not grant the subscription to {}; allow this user to subscribe, or correct `subscribe`",
                refused.join(", ")
            )));
        }
        let note = (!lower.is_empty()).then(|| {
            format!(
                "the broker grants {} only, below `qos: {}`",
                lower.join(", "),
                self.options.qos
            )
        });
        Some(Answer::Granted(note))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn subscription() -> Subscription {
        let options = Options {
            qos: 1,
            retain_handling: 2,
            no_local: true,
        };
        Subscription::new(&["a".into(), "b/#".into()], None, options)
    }

    fn answer(subscription: &mut Subscription, codes: &[u8]) -> Option<Answer> {
        let suback = Suback {
            id: ID,
            codes,
            reason: Some("no"),
        };
        subscription.answered(Version::V5, &suback)
    }

    #[test]
    fn options_are_bits_of_version_5_only() {
        let mut out = Vec::new();
        subscription().ask(Version::V5, false, &mut out);
        assert_eq!(
            out,
            [0x82, 13, 0, 1, 0, 0, 1, b'a', 0x25, 0, 3, b'b', b'/', b'#', 0x25]
        );
        out.clear();
        subscription().ask(Version::V3, false, &mut out);
        assert_eq!(out, [0x82, 12, 0, 1, 0, 1, b'a', 1, 0, 3, b'b', b'/', b'#', 1]);
    }

    #[test]
    fn a_kept_session_is_subscribed_to_once_and_a_forgotten_one_again() {
        let (mut subscription, mut out) = (subscription(), Vec::new());
        assert!(
            subscription.ask(Version::V5, true, &mut out),
            "an older life may have had other filters"
        );
        assert_eq!(answer(&mut subscription, &[1, 1]), Some(Answer::Granted(None)));
        assert!(!subscription.ask(Version::V5, true, &mut out));
        assert!(subscription.ask(Version::V5, false, &mut out));
    }

    #[test]
    fn each_refused_filter_is_named_and_asked_for_again_alone() {
        let (mut subscription, mut out) = (subscription(), Vec::new());
        subscription.ask(Version::V5, false, &mut out);
        let Some(Answer::Refused(line)) = answer(&mut subscription, &[1, 0x87]) else {
            panic!("granted");
        };
        assert!(
            line.contains("`b/#`: not authorised (0x87): \"no\"") && !line.contains("`a`"),
            "{line}"
        );
        out.clear();
        assert!(subscription.ask(Version::V5, true, &mut out));
        assert_eq!(out, [0x82, 9, 0, 1, 0, 0, 3, b'b', b'/', b'#', 0x25]);
    }

    #[test]
    fn a_lower_quality_is_said_and_an_answer_to_nothing_is_none() {
        let mut subscription = subscription();
        assert_eq!(answer(&mut subscription, &[1, 1]), None);
        subscription.ask(Version::V5, false, &mut Vec::new());
        assert_eq!(answer(&mut subscription, &[1]), None);
        let Some(Answer::Granted(Some(note))) = answer(&mut subscription, &[0, 1]) else {
            panic!("nothing was said");
        };
        assert!(note.contains("`a` with QoS 0"), "{note}");
    }

    #[test]
    fn a_share_stands_before_each_filter() {
        let options = Options {
            qos: 0,
            retain_handling: 0,
            no_local: false,
        };
        let mut out = Vec::new();
        Subscription::new(&["a".into()], Some("g"), options).ask(Version::V3, false, &mut out);
        assert_eq!(&out[6..out.len() - 1], b"$share/g/a");
    }
}
