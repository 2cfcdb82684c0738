//! What a log may have of an event: then what is owed may be met, may expire and may be dead in any later life of the router.
//!
//! Wide on purpose: a log goes on where a setup does not name it any more, so that any setup counts.

use weft_api::event::Attributes;
use weft_inproc::Stamp;

use super::facts::{Facts, Life, Owed};
use crate::case::{Load, Part};

impl Facts<'_> {
    /// A log may have kept this obligation, or its dead letter: it may be met at any time after its event came in.
    pub(super) fn may_be_kept(&self, owed: &Owed<'_>) -> bool {
        let is_local = owed.route.is_some_and(|route| route.local);
        let letter = owed.dead_letter().map(Part::Destination);
        let has_log = |part: &Part| self.case.setups.iter().any(|setup| setup.has_log(part));
        self.case.store.is_some() && (is_local || has_log(&owed.part) || letter.as_ref().is_some_and(has_log))
    }

    /// The same of any obligation that an event ever had.
    pub(super) fn may_keep(&self, load: &Load) -> bool {
        let mut lives = self.lives(&load.key).iter();
        lives.any(|life| {
            let owed = self.owed(self.setup(life.table), load);
            owed.iter().any(|owed| self.may_be_kept(owed))
        })
    }

    /// Some route or log gives this event an age.
    pub(super) fn may_expire(&self, key: &str) -> bool {
        let setups = || self.case.setups.iter();
        let by_route = setups().any(|setup| setup.routes.iter().any(|route| route.max_age.is_some()));
        let in_log = |part: &Part| setups().any(|setup| setup.log_age(part).is_some());
        let mut all = (0..self.sinks.len()).map(Part::Destination);
        let expires = self.loads[key].event.get("expirytime").is_some();
        expires || by_route || all.any(|part| in_log(&part))
    }

    /// What happened at this time happened to this life, or to what a log has of it.
    pub(super) fn counts(life: &Life, stamp: Stamp, kept: bool) -> bool {
        if kept {
            stamp.order > life.admitted.order
        } else {
            life.spans(stamp)
        }
    }

    /// The tables under which what came in in this life may be sent: a log outlives every table.
    pub(super) fn sending(&self, load: &Load, life: &Life) -> std::ops::RangeInclusive<usize> {
        if self.may_keep(load) {
            life.table..=self.world.log.tables.len() - 1
        } else {
            self.tables(life)
        }
    }
}
