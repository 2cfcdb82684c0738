//! What `/dlq`, `/replay` and `/job` take and give, and the commands read back: the wire types.
//!
//! `in` is where the dead letters are: at this destination; left out: in this router's own log.
//!
//! Owns the JSON's shape; fields are added, never renamed. Times are RFC 3339. What comes in denies unknown fields: a
//! filter that is misspelt would mean everything.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Where the endpoints get letters; the router's side. Methods may wait for the disk or a remote, and for their turn.
#[async_trait]
pub trait Letters: Send + Sync {
    /// Dead letters, a page at a time.
    async fn page(&self, ask: Ask) -> Result<Page, Refusal>;
    /// How many there are, by reason and destination; a part of them at a time.
    async fn counts(&self, ask: Ask) -> Result<Counts, Refusal>;
    /// The one with this number or place, with everything.
    async fn letter(&self, r#in: Option<String>, id: String) -> Result<Whole, Refusal>;
    /// The first that is meant, with everything.
    async fn first(&self, ask: Ask) -> Result<Whole, Refusal>;
    /// Where letters would go, a page at a time.
    async fn rehearse(&self, order: ReplayOrder) -> Result<Page, Refusal>;
    /// Sends letters again.
    async fn replay(&self, order: ReplayOrder) -> Result<JobStatus, Refusal>;
    /// Takes letters out.
    async fn purge(&self, order: PurgeOrder) -> Result<JobStatus, Refusal>;
    /// What a log kept and would be sent again, a page at a time.
    async fn rehearse_kept(&self, order: KeptOrder) -> Result<Page, Refusal>;
    /// Sends again what a log kept.
    async fn replay_kept(&self, order: KeptOrder) -> Result<JobStatus, Refusal>;
    /// The job that runs, else the last one.
    fn job(&self) -> Result<JobStatus, Refusal>;
    /// Ends the job that runs.
    fn cancel(&self) -> Result<JobStatus, Refusal>;
}

/// Why it was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// 400: what to write instead.
    Wrong(String),
    /// 404.
    Unknown(String),
    /// 409: later.
    Busy(String),
    /// 503.
    Failed(String),
}

/// Which letters; those for which everything holds that is said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// The destination that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The code of the reason (`refused`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The event's `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// The event's `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Attributes with these values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// In the log since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// In the log before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The letter's numbers; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u64>,
    /// Where letters are elsewhere: their places in place of numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// A page that is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ask {
    /// See the module.
    pub r#in: Option<String>,
    /// Which letters.
    pub filter: Filter,
    /// The number from which on; [`Page::next`] of the page before.
    pub after: u64,
    /// How many at most.
    pub limit: Option<u64>,
    /// With their events.
    pub events: Events,
}

/// Which form of their events letters come with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Events {
    /// None.
    #[default]
    None,
    /// As the log has them: with the description.
    Described,
    /// As they were.
    Original,
}

/// Some letters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// In the order in which they came.
    pub letters: Vec<Letter>,
    /// Ask for `after` this; `None`: there are no more.
    pub next: Option<u64>,
    /// Records that only another version of Weft can read.
    pub unreadable: u64,
}

/// How many letters there are.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// All.
    pub letters: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By the code of the reason.
    pub by_reason: BTreeMap<String, u64>,
    /// By destination; `-` for those that never got as far. What passes the hundredth is counted as `(others)`.
    pub by_destination: BTreeMap<String, u64>,
    /// Ask for `after` this, and add; `None`: that was all.
    pub next: Option<u64>,
    /// Records that only another version of Weft can read.
    pub unreadable: u64,
}

/// One letter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Letter {
    /// Its number: its sequence in the log. Elsewhere only good for [`Ask::after`].
    pub id: u64,
    /// Elsewhere: its place, where that is the same tomorrow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The event's `id`, `source`, `type`.
    pub event_id: String,
    /// The same.
    pub source: String,
    /// The same.
    pub r#type: String,
    /// The destination that failed, if it got that far.
    pub destination: Option<String>,
    /// The route, if there was one.
    pub route: Option<String>,
    /// The code of the reason.
    pub reason: String,
    /// What happened, in one line.
    pub error: Option<String>,
    /// When it came there; empty where nobody tells.
    pub dead_at: String,
    /// When it failed first and last.
    pub first_failed: Option<String>,
    /// The same.
    pub last_failed: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// How often it has been sent again from here.
    pub replays: u16,
    /// Bytes of the event, as it is charged.
    pub size: u64,
    /// Where it would go, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<Would>,
    /// The event in the CloudEvents JSON format, as text, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

/// What would become of a letter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Would {
    /// Destinations and groups to which it would be sent.
    pub to: Vec<String>,
    /// It would stay: why, and what to do.
    pub stays: Option<String>,
}

/// One letter with everything.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Whole {
    /// What the list tells, where it would go, and the event.
    pub letter: Letter,
    /// Every attribute, in the event's order.
    pub attributes: Vec<Attribute>,
    /// Bytes of data; `None`: it has none.
    pub data_bytes: Option<u64>,
    /// The data, or its beginning, where it is text.
    pub text: Option<String>,
    /// Its beginning in base64, where it is not.
    pub base64: Option<String>,
}

/// One attribute.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its canonical text.
    pub value: String,
}

/// `POST /dlq/replay`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayOrder {
    /// See the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#in: Option<String>,
    /// Which letters.
    pub filter: Filter,
    /// All of them: must be said where there is no filter.
    pub all: bool,
    /// How many at most.
    pub limit: Option<u64>,
    /// How many in so many seconds ([`ReplayOrder::per`]).
    pub rate: Option<u32>,
    /// In how many seconds; one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// To this destination or group only.
    pub to: Option<String>,
    /// To whatever the routes owe, as if it came in anew.
    pub all_routes: bool,
    /// By this ingress, for [`ReplayOrder::all_routes`].
    pub ingress: Option<String>,
    /// Only say where they would go, a page at a time.
    pub dry_run: bool,
    /// The number from which on, for a dry run.
    pub after: u64,
}

/// `POST /dlq/purge`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PurgeOrder {
    /// See the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#in: Option<String>,
    /// Which letters.
    pub filter: Filter,
    /// All of them: must be said where there is no filter.
    pub all: bool,
    /// How many at most.
    pub limit: Option<u64>,
}

/// `POST /replay`
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeptOrder {
    /// The log: the name of its destination or group.
    pub log: String,
    /// Which events.
    pub filter: Filter,
    /// To this destination or group.
    pub to: String,
    /// How many at most.
    pub limit: Option<u64>,
    /// How many in so many seconds ([`ReplayOrder::per`]).
    pub rate: Option<u32>,
    /// In how many seconds; one if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<u32>,
    /// Only say what would be sent, a page at a time.
    pub dry_run: bool,
    /// The number from which on, for a dry run.
    pub after: u64,
}

/// A job, and how far it has come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct JobStatus {
    /// Its number in the life of the process.
    pub job: u64,
    /// `replay`, `purge`, `replay_kept`.
    pub what: String,
    /// The log, or the destination that holds the letters.
    pub log: String,
    /// What that destination delivers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it means there that a letter has left, where it is not simply gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// `running`, `done`, `cancelled`, `failed`.
    pub state: String,
    /// Why it failed.
    pub error: Option<String>,
    /// Records looked at.
    pub looked: u64,
    /// Letters that were meant.
    pub selected: u64,
    /// Letters that were sent.
    pub sent: u64,
    /// Letters that were sent and have not ended.
    pub under_way: u64,
    /// Letters of which all legs ended well, and of those:
    pub ended: u64,
    /// delivered;
    pub delivered: u64,
    /// dead letters anew;
    pub dead_lettered: u64,
    /// in the log of a destination;
    pub stored: u64,
    /// expired, or dropped by a rule of the file.
    pub gone: u64,
    /// Letters that were purged.
    pub purged: u64,
    /// What was asked for by its number or place, and was not there.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Letters that stay.
    pub stayed: u64,
    /// The first of them.
    pub stays: Vec<Stays>,
    /// Records that only another version of Weft can read.
    pub unreadable: u64,
}

/// A letter that stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Stays {
    /// Its number.
    pub id: u64,
    /// Its place, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why, and what to do.
    pub why: String,
}

impl Letter {
    /// How people call it: by its place, or its number. Elsewhere it may have neither that holds.
    #[must_use]
    pub fn name(&self, elsewhere: bool) -> String {
        match (&self.place, elsewhere) {
            (Some(place), _) => place.clone(),
            (None, true) => "-".to_owned(),
            (None, false) => self.id.to_string(),
        }
    }
}

impl Filter {
    /// Whether nothing is said, so that everything is meant.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Filter::default()
    }
}
