//! Looking through what a destination holds for the letters that are meant: what [`super::scan`] is for a log.
//!
//! Owns: a browser of a connector, and what it gave that was not looked at yet. Invariants
//! - What was not looked at is part of no answer: a look says where the next one begins, and misses nothing.
//! - It is given up at any time without a loss ([`Hunt::next`] is cancel-safe).
//!
//! Does not know: why somebody looks, and what becomes of what is found.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use weft_api::browse::{Browse, BrowseError, Browser, Held};

use super::letter::{Letter, Selection};
use super::scan::{Found, Look};

/// How many messages a browser is asked for at a time.
const PIECE: usize = 500;
/// How long a browser that only looked may take to end.
const END_MAX: Duration = Duration::from_secs(2);

/// See the module.
pub struct Hunt {
    browse: Arc<dyn Browse>,
    pub(super) browser: Box<dyn Browser>,
    selection: Selection,
    read: VecDeque<Held>,
    /// The next place of interest.
    from: u64,
    /// Nothing from here on is.
    to: u64,
    /// The browser has no more.
    over: bool,
}

impl Hunt {
    /// Looks for `selection` in what `browser` gives.
    #[must_use]
    pub fn new(browse: Arc<dyn Browse>, browser: Box<dyn Browser>, selection: Selection) -> Hunt {
        let (from, to) = selection.bounds();
        Hunt {
            browse,
            browser,
            selection,
            read: VecDeque::new(),
            from,
            to,
            over: false,
        }
    }

    /// Looks on, and adds what it finds to `found`, until that has all that `look` allows, or nothing is left.
    ///
    /// # Errors
    /// The browser's; `found` has what was found before.
    pub async fn next(&mut self, look: Look, found: &mut Found) -> Result<(), BrowseError> {
        loop {
            found.next = Some(self.from);
            if self.over && self.read.is_empty() {
                found.next = None;
                return Ok(());
            }
            if found.fills(look) {
                return Ok(());
            }
            match self.read.pop_front() {
                Some(held) if held.place >= self.to => {
                    self.over = true;
                    self.read.clear();
                }
                Some(held) => self.look_at(held, found),
                None => {
                    let more = self.browser.next(PIECE).await?;
                    self.over = more.is_empty();
                    self.read.extend(more);
                }
            }
        }
    }

    fn look_at(&mut self, held: Held, found: &mut Found) {
        let place = held.place;
        self.from = place.saturating_add(1);
        found.looked += 1;
        found.read += held.incoming.event.size();
        let mut letter = Letter::held(held);
        if self.selection.takes(&letter) {
            letter.place = self.browse.write_place(place).map(String::into_boxed_str);
            found.bytes += letter.event.size();
            found.letters.push(letter);
        }
    }
}

/// Is shown one letter after another, of which nothing else is kept.
pub type Each<'a> = &'a mut (dyn FnMut(&Letter) + Send);

/// One look from a place on, at most until a deadline: what was found until then, and where to go on. With `each`, the
/// look's bounds of letters and bytes are those of what is in memory at a time.
///
/// # Errors
/// It cannot be looked through, or nothing came until the deadline.
pub async fn look(
    browse: Arc<dyn Browse>,
    selection: Selection,
    (from, look, deadline): (u64, Look, Instant),
    mut each: Option<Each<'_>>,
) -> Result<Found, String> {
    let from = from.max(selection.bounds().0);
    let late = |doing: &str| format!("{doing} {}: no answer in time", browse.address());
    let opened = timeout_at(deadline, browse.look(from)).await;
    let browser = opened
        .map_err(|_| late("opening"))?
        .map_err(|error| error.to_string())?;
    let mut hunt = Hunt::new(Arc::clone(&browse), browser, selection);
    hunt.from = from;
    let mut found = Found::default();
    let mut show = |found: &mut Found| match &mut each {
        Some(each) => {
            found.letters.drain(..).for_each(|letter| each(&letter));
            found.bytes = 0;
            found.next.is_none() || found.is_long(look)
        }
        None => true,
    };
    let all = async {
        loop {
            hunt.next(look, &mut found).await?;
            if show(&mut found) {
                return Ok::<_, BrowseError>(());
            }
        }
    };
    let looked = timeout_at(deadline, all).await;
    show(&mut found);
    // Whatever it answers, it only looked.
    let _ = timeout(END_MAX, hunt.browser.close()).await;
    match looked {
        // What was looked at is told; whoever goes on from there hears what was wrong.
        _ if found.looked > 0 => Ok(found),
        Ok(Ok(())) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late("looking through")),
    }
}
