//! Logs whose destinations the file does not have: what a start finds of a place that was taken out of the file while the
//! router was down.
//!
//! Nobody can deliver what is in them: only the file knew where to. They stay, are shown, and are told of once. Of the
//! words of `removed:`, `purge` holds for them; the others need the destination, or its routes, and so a reload from a file
//! that has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_api::event::time;
use weft_store::{LogSettings, Most, OpenError};

use super::{Kind, OF_DESTINATION, Storage};
use crate::delivery::stored::{DurableQueue, record};
use crate::topology::reload::Removal;

/// How many records are looked at for the time of the oldest: one of a later version does not tell it.
const LOOK: Most = Most {
    records: 16,
    bytes: 1 << 20,
};

/// What holds for such a log: it takes nothing, and is promised no room.
pub(super) fn settings() -> LogSettings {
    LogSettings {
        max_bytes: 0,
        own_space: false,
        max_age: None,
        retain: None,
        window: super::WINDOW,
        parts: 16,
    }
}

impl Storage {
    /// Opens what is left of a place that the file does not have. Waits for the disk.
    pub(super) fn open_orphan(&mut self, file: &str) -> Result<(), OpenError> {
        let Some(name) = file.strip_prefix(OF_DESTINATION) else {
            if self.strangers.insert(file.to_owned()) {
                tracing::error!(
                    directory = file,
                    "the store has a log that is no destination's: it is kept (use the version that wrote it, or remove its directory)"
                );
            }
            return Ok(());
        };
        let name = Arc::from(name);
        let log = self.store.log(file, settings())?;
        self.add(&name, Kind::Backlog, log, super::rules(&self.ending()));
        Ok(())
    }

    /// What the words in `removed` say of orphans is done, and an operator hears of the others, once of each. Waits for the disk.
    pub(crate) fn look_after_orphans(&mut self, removed: &BTreeMap<String, Removal>) {
        let orphans: Vec<_> = self
            .queues()
            .into_iter()
            .filter(|queue| queue.is_orphan())
            .collect();
        for queue in orphans {
            match removed.get(&*queue.name) {
                _ if queue.pending() == 0 => {}
                Some(Removal::Purge) => {
                    let count = queue.purge();
                    tracing::warn!(log = %queue.name, events = count, "the log of a destination that is gone was purged, as `removed` says");
                }
                word => {
                    if self.strangers.insert(queue.name.to_string()) {
                        self.tell(&queue, word.copied());
                    }
                }
            }
        }
    }

    fn tell(&self, queue: &Arc<DurableQueue>, word: Option<Removal>) {
        let oldest = self
            .oldest(queue)
            .map_or_else(|| "unknown".to_owned(), time::format);
        let (name, events) = (&queue.name, queue.pending());
        let why = match word {
            Some(Removal::Drain) => " (`removed: drain` needs the destination, and holds in a reload only)",
            Some(Removal::DeadLetter) => {
                " (`removed: dead_letter` needs its routes, and holds in a reload only)"
            }
            Some(Removal::Purge) | None => "",
        };
        tracing::error!(
            log = %name,
            events,
            oldest,
            "nobody delivers what the log of {name} holds: the file has no such destination{why}. Name it again to deliver that, \
             or write `removed: {{ {name}: purge }}` to drop it"
        );
    }

    /// When its oldest record came.
    fn oldest(&self, queue: &DurableQueue) -> Option<std::time::SystemTime> {
        let mut records = Vec::new();
        let read = self.store.reader(&queue.log, true).read(LOOK, &mut records);
        if let Err(error) = read {
            tracing::error!(log = %queue.name, %error, "reading the store");
        }
        let ms = records
            .iter()
            .find_map(|record| record::stored_ms(&record.payload))?;
        std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(ms))
    }
}
