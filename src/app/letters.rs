//! What the admin endpoints show of letters, and have done with them: between the wire's words and the desk's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weft_api::event::time;
use weft_api::outcome::Reason;

use crate::admin::dlq::letters::{
    Ask, Attribute, Counts, Events, Filter, JobStatus, KeptOrder, Letter, Letters, Page, PurgeOrder, Refusal,
    ReplayOrder, Stays, Whole, Would,
};
use crate::topology::desk::{
    self, Desk, FOREIGN, In, Job, Look, Order, Refused, Selection, State, Way, Work,
};
use crate::topology::spec::LOCAL;

/// Letters of a page, if nobody says how many, and at most.
const PAGE: u64 = 50;
const PAGE_MAX: u64 = 5000;
/// What one answer may hold, and look through.
const LOOK_BYTES: u64 = 1 << 20;
const LOOK_RECORDS: u64 = 100_000;
const LOOK_READ: u64 = 64 << 20;
/// Most letters that may be meant by their numbers.
const IDS_MAX: usize = 1000;
/// How much data is shown: of text, and in base64.
const TEXT_MAX: usize = 64 << 10;
const BINARY_MAX: usize = 768;
/// Destinations and reasons that are counted apart.
const NAMES_MAX: usize = 100;

/// See the module.
pub(super) struct AppLetters(pub(super) Arc<Desk>);

#[async_trait]
impl Letters for AppLetters {
    async fn page(&self, ask: Ask) -> Result<Page, Refusal> {
        let at = at(&ask.r#in);
        let selection = self.selection(at, &ask.filter)?;
        let found = self.0.look(at, selection, ask.after, look(ask.limit)).await;
        Ok(page(found.map_err(refusal)?, ask.events, |_| None))
    }

    async fn counts(&self, ask: Ask) -> Result<Counts, Refusal> {
        let at = at(&ask.r#in);
        let selection = self.selection(at, &ask.filter)?;
        let look = (ask.after, look(Some(PAGE_MAX)));
        let counted = self.0.each(at, selection, look, (Counts::default(), count)).await;
        let (counts, all) = counted.map_err(refusal)?;
        Ok(Counts {
            unreadable: all.unreadable,
            next: all.next,
            ..counts
        })
    }

    async fn letter(&self, r#in: Option<String>, id: String) -> Result<Whole, Refusal> {
        let at = at(&r#in);
        let number = match at {
            In::Log(_) => id.parse().map_err(|_| {
                Refusal::Wrong(format!(
                    "the id of a letter here is a number, not {id:?}; for one in a topic or queue say where (--in DESTINATION, \
                     ?in=DESTINATION)"
                ))
            })?,
            In::Destination(name) => {
                let places = self.0.read_places(name, std::slice::from_ref(&id));
                places.map_err(refusal)?.first().copied().unwrap_or(0)
            }
        };
        let only = Selection {
            ids: vec![number],
            ..Selection::default()
        };
        let found = self.0.look(at, only, number, look(Some(1))).await;
        let found = found.map_err(refusal)?;
        match found.letters.first() {
            Some(letter) => Ok(self.whole(letter)),
            None if found.unreadable > 0 => Err(Refusal::Failed(format!(
                "letter {id} was written by another version of Weft, which can read it"
            ))),
            None => Err(Refusal::Unknown(format!(
                "there is no letter {id}: it was replayed, purged, or never came"
            ))),
        }
    }

    async fn first(&self, ask: Ask) -> Result<Whole, Refusal> {
        let at = at(&ask.r#in);
        let selection = self.selection(at, &ask.filter)?;
        let found = self.0.look(at, selection, ask.after, look(Some(1))).await;
        let found = found.map_err(refusal)?;
        match (found.letters.first(), found.next) {
            (Some(letter), _) => Ok(self.whole(letter)),
            (None, Some(next)) => Err(Refusal::Failed(format!(
                "none of the first {} is meant; there are more: ask again with `after` {next}",
                found.looked
            ))),
            (None, None) => Err(Refusal::Unknown("there is no such letter".to_owned())),
        }
    }

    async fn rehearse(&self, order: ReplayOrder) -> Result<Page, Refusal> {
        let (at, way) = (at(&order.r#in), self.way(&order)?);
        let selection = self.selection(at, &order.filter)?;
        let found = self.0.look(at, selection, order.after, look(order.limit)).await;
        Ok(page(found.map_err(refusal)?, Events::None, |letter| {
            Some(self.would(letter, &way))
        }))
    }

    async fn replay(&self, order: ReplayOrder) -> Result<JobStatus, Refusal> {
        let at = at(&order.r#in);
        let begun = Order {
            work: Work::Replay(self.way(&order)?),
            selection: self.selection(at, &order.filter)?,
            limit: order.limit,
            every: every(order.rate, order.per),
        };
        self.begin(at, begun)
    }

    async fn purge(&self, order: PurgeOrder) -> Result<JobStatus, Refusal> {
        let at = at(&order.r#in);
        let begun = Order {
            work: Work::Purge,
            selection: self.selection(at, &order.filter)?,
            limit: order.limit,
            every: None,
        };
        self.begin(at, begun)
    }

    async fn rehearse_kept(&self, order: KeptOrder) -> Result<Page, Refusal> {
        let (at, way) = (In::Log(&order.log), self.again(&order)?);
        let selection = self.selection(at, &order.filter)?;
        let found = self.0.look(at, selection, order.after, look(order.limit)).await;
        Ok(page(found.map_err(refusal)?, Events::None, |letter| {
            Some(self.would(letter, &way))
        }))
    }

    async fn replay_kept(&self, order: KeptOrder) -> Result<JobStatus, Refusal> {
        let (at, way) = (In::Log(&order.log), self.again(&order)?);
        let begun = Order {
            work: Work::Again(way),
            selection: self.selection(at, &order.filter)?,
            limit: order.limit,
            every: every(order.rate, order.per),
        };
        self.begin(at, begun)
    }

    fn job(&self) -> Result<JobStatus, Refusal> {
        match self.0.job() {
            Some(job) => Ok(status(&job)),
            None => Err(Refusal::Unknown(
                "no job has run since the router started".to_owned(),
            )),
        }
    }

    fn cancel(&self) -> Result<JobStatus, Refusal> {
        match self.0.job().filter(|job| job.is_running()) {
            Some(job) => {
                job.cancel();
                Ok(status(&job))
            }
            None => Err(Refusal::Unknown("no job is at work".to_owned())),
        }
    }
}

impl AppLetters {
    fn begin(&self, at: In<'_>, order: Order) -> Result<JobStatus, Refusal> {
        let job = self.0.start(at, order).map_err(refusal)?;
        Ok(status(&job))
    }

    /// Letters of this router have numbers, those elsewhere places.
    fn selection(&self, at: In<'_>, filter: &Filter) -> Result<Selection, Refusal> {
        let wrong = |why: &str| Err(Refusal::Wrong(why.to_owned()));
        if filter.ids.len() + filter.places.len() > IDS_MAX {
            return Err(Refusal::Wrong(format!(
                "at most {IDS_MAX} ids or places; use other filters"
            )));
        }
        let ids = match at {
            In::Log(_) if !filter.places.is_empty() => {
                return wrong(
                    "letters of this router have ids that are numbers; places are for letters elsewhere (in)",
                );
            }
            In::Log(_) => filter.ids.clone(),
            In::Destination(_) if !filter.ids.is_empty() => {
                return wrong(
                    "letters elsewhere have no numbers: give places, as the list shows them, or other filters",
                );
            }
            In::Destination(name) => self.0.read_places(name, &filter.places).map_err(refusal)?,
        };
        selection(filter, ids)
    }

    fn way(&self, order: &ReplayOrder) -> Result<Way, Refusal> {
        match &order.to {
            Some(to) => Ok(Way::To(self.0.destination(to).map_err(refusal)?)),
            None if order.all_routes => self.0.all_routes(order.ingress.as_deref()).map_err(refusal),
            None => Ok(Way::Obligation),
        }
    }

    fn again(&self, order: &KeptOrder) -> Result<Way, Refusal> {
        if order.log == LOCAL {
            return Err(Refusal::Wrong(
                "the local dead letters are sent again by `weft dlq replay`".to_owned(),
            ));
        }
        Ok(Way::Again(self.0.destination(&order.to).map_err(refusal)?))
    }

    fn would(&self, letter: &desk::Letter, way: &Way) -> Would {
        match self.0.would(letter, way) {
            Ok(to) => Would { to, stays: None },
            Err(why) => Would {
                to: Vec::new(),
                stays: Some(why),
            },
        }
    }

    fn whole(&self, letter: &desk::Letter) -> Whole {
        let told = Letter {
            would: Some(self.would(letter, &Way::Obligation)),
            ..info(letter, Events::Described)
        };
        let attributes = letter.event.attributes().map(|(name, value)| Attribute {
            name: name.to_owned(),
            value: value.text.to_owned(),
        });
        let data = letter.event.data();
        let text = data.and_then(|data| std::str::from_utf8(data).ok());
        Whole {
            letter: told,
            attributes: attributes.collect(),
            data_bytes: data.map(|data| data.len() as u64),
            text: text.map(|text| text[..text.floor_char_boundary(TEXT_MAX)].to_owned()),
            base64: data
                .filter(|_| text.is_none())
                .map(|data| STANDARD.encode(&data[..data.len().min(BINARY_MAX)])),
        }
    }
}

fn look(limit: Option<u64>) -> Look {
    Look {
        letters: usize::try_from(limit.unwrap_or(PAGE).clamp(1, PAGE_MAX)).unwrap_or(1),
        bytes: LOOK_BYTES,
        records: LOOK_RECORDS,
        read: LOOK_READ,
    }
}

fn page(found: desk::Found, events: Events, would: impl Fn(&desk::Letter) -> Option<Would>) -> Page {
    let letters = found.letters.iter().map(|letter| Letter {
        would: would(letter),
        ..info(letter, events)
    });
    Page {
        letters: letters.collect(),
        next: found.next,
        unreadable: found.unreadable,
    }
}

fn info(letter: &desk::Letter, events: Events) -> Letter {
    let event = match events {
        Events::None => None,
        Events::Described => Some(letter.event.clone()),
        Events::Original => Some(letter.original()),
    };
    let failed = letter.failed_at();
    Letter {
        id: letter.id,
        place: letter.place.as_deref().map(str::to_owned),
        event_id: letter.event.id().to_owned(),
        source: letter.event.source().to_owned(),
        r#type: letter.event.ty().to_owned(),
        destination: letter.destination().map(str::to_owned),
        route: (!letter.route.is_empty()).then(|| letter.route.to_string()),
        reason: letter.reason().to_owned(),
        error: letter.error().map(str::to_owned),
        dead_at: stamp(letter.stored_ms),
        first_failed: failed.map(|(first, _)| time::format(first)),
        last_failed: failed.map(|(_, last)| time::format(last)),
        attempts: letter.attempts,
        replays: letter.replays,
        size: letter.event.size(),
        would: None,
        event: event.map(|event| {
            let mut text = Vec::new();
            weft_api::event::json::encode(&event, &mut text);
            String::from_utf8(text).expect("attributes are text, and data that is not is written in base64")
        }),
    }
}

fn count(counts: &mut Counts, letter: &desk::Letter) {
    counts.letters += 1;
    counts.bytes += letter.event.size();
    let add = |names: &mut BTreeMap<String, u64>, name: &str| {
        let name = match names.contains_key(name) || names.len() < NAMES_MAX {
            true => name,
            false => "(others)",
        };
        *names.entry(name.to_owned()).or_default() += 1;
    };
    add(&mut counts.by_reason, letter.reason());
    add(&mut counts.by_destination, letter.destination().unwrap_or("-"));
}

fn status(job: &Job) -> JobStatus {
    let progress = job.progress();
    let (state, error) = match progress.state {
        State::Running => ("running", None),
        State::Done => ("done", None),
        State::Cancelled => ("cancelled", None),
        State::Failed(why) => ("failed", Some(why)),
    };
    let [delivered, dead_lettered, stored, gone] = progress.kinds;
    let browse = job.elsewhere.as_ref().map(|elsewhere| &elsewhere.0);
    JobStatus {
        job: job.id,
        what: job.order.work.name().to_owned(),
        log: job.log.to_string(),
        state: state.to_owned(),
        error,
        looked: progress.looked,
        selected: progress.selected,
        sent: progress.sent,
        under_way: progress.under_way,
        ended: progress.ended,
        delivered,
        dead_lettered,
        stored,
        gone,
        purged: progress.purged,
        stayed: progress.stayed,
        stays: progress
            .stays
            .into_iter()
            .map(|(id, why)| Stays {
                id,
                place: browse.and_then(|browse| browse.write_place(id)),
                why,
            })
            .collect(),
        unreadable: progress.unreadable,
        missing: progress
            .missing
            .into_iter()
            .map(|id| {
                browse
                    .and_then(|browse| browse.write_place(id))
                    .unwrap_or_else(|| id.to_string())
            })
            .collect(),
        address: browse.map(|browse| browse.address()),
        left: browse.and_then(|browse| browse.left()),
    }
}

/// Where letters are asked for.
fn at(r#in: &Option<String>) -> In<'_> {
    match r#in.as_deref() {
        None | Some(LOCAL) => In::Log(LOCAL),
        Some(name) => In::Destination(name),
    }
}

fn selection(filter: &Filter, ids: Vec<u64>) -> Result<Selection, Refusal> {
    let wrong = |why: String| Err(Refusal::Wrong(why));
    let text = |text: &Option<String>| text.as_deref().map(Box::from);
    let (since_ms, until_ms) = (moment(&filter.since)?, moment(&filter.until)?);
    if let (Some(since), Some(until)) = (since_ms, until_ms)
        && since >= until
    {
        return wrong(
            "nothing is since then and before then: `since` is not earlier than `until`".to_owned(),
        );
    }
    let reasons = || Reason::ALL.iter().map(|known| known.as_str()).chain([FOREIGN]);
    if let Some(reason) = &filter.reason
        && !reasons().any(|known| known == reason)
    {
        let known: Vec<&str> = reasons().collect();
        return wrong(format!(
            "no reason is called {reason:?}; there are: {}",
            known.join(" ")
        ));
    }
    let attributes = filter.attributes.iter();
    Ok(Selection {
        destination: text(&filter.destination),
        route: text(&filter.route),
        reason: text(&filter.reason),
        ty: text(&filter.r#type),
        event: text(&filter.event),
        attributes: attributes
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect(),
        since_ms,
        until_ms,
        ids,
    })
}

/// `rate` letters in `per` seconds, as the time between two.
fn every(rate: Option<u32>, per: Option<u32>) -> Option<Duration> {
    let per = Duration::from_secs(per.unwrap_or(1).into());
    rate.and_then(|rate| per.checked_div(rate))
}

fn moment(text: &Option<String>) -> Result<Option<u64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let at = time::parse(text)
        .ok_or_else(|| Refusal::Wrong(format!("{text:?} is no time; write 2026-01-31T12:00:00Z")))?;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

/// Nothing where nobody knows.
fn stamp(ms: u64) -> String {
    if ms == 0 {
        return String::new();
    }
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    time::format(at.unwrap_or(SystemTime::UNIX_EPOCH))
}

fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::Wrong(why) => Refusal::Wrong(why),
        Refused::Unknown(why) => Refusal::Unknown(why),
        Refused::Busy(why) => Refusal::Busy(why),
        Refused::Failed(why) => Refusal::Failed(why),
    }
}
