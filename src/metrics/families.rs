//! Every metric family: its name, labels and help, as `docs/metrics.md` lists them.
//!
//! Owns the names. Knows nothing of handles, nor of who counts. A label is a name from the file or a word of a closed
//! list, never a value out of an event, so that the number of series is bounded by the file.

/// Whether a family counts or measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only ever grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// The word of the exposition format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        }
    }
}

/// A family as a scrape shows it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// `weft_...`; counters end in `_total`, the rest in their unit.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The labels in the order in which handles are resolved.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

macro_rules! families {
    ($($name:ident = $kind:ident $text:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $name: Family =
            Family { name: $text, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every family, in the order of `docs/metrics.md`.
        pub const ALL: &[Family] = &[$($name),*];
    };
}

families! {
    INGRESS_EVENTS = Counter "weft_ingress_events_total" ["ingress"]
        "Events admitted, malformed ones included.";
    INGRESS_BYTES = Counter "weft_ingress_bytes_total" ["ingress"]
        "Bytes charged to the memory budget for the events admitted.";
    INGRESS_MALFORMED = Counter "weft_ingress_malformed_total" ["ingress"]
        "Messages that could not become the CloudEvent they should have been.";
    INGRESS_UNMATCHED = Counter "weft_ingress_unmatched_total" ["ingress"]
        "Events that no route matched.";
    INGRESS_REWINDS = Counter "weft_ingress_rewinds_total" ["ingress"]
        "Times an in-order lane started again at its watermark; each may repeat up to one window of events.";
    INGRESS_OVERDELIVERED = Counter "weft_ingress_overdelivered_total" ["ingress"]
        "Events that a connector delivered past its credit; anything but 0 is a fault of the connector.";
    INGRESS_SETTLED = Counter "weft_ingress_settled_total" ["ingress", "outcome"]
        "Events settled towards the sender, by outcome: accepted, rejected, released, unknown.";
    INGRESS_REFUSED = Counter "weft_ingress_refused_total" ["ingress", "reason"]
        "Events that were not accepted, by reason.";
    INGRESS_DROPPED = Counter "weft_ingress_dropped_total" ["ingress", "what"]
        "Messages dropped or shed by the connector under a rule that the user wrote.";
    INGRESS_UNSETTLED = Gauge "weft_ingress_unsettled_events" ["ingress"]
        "Events admitted and not yet settled towards the sender.";
    INGRESS_HELD_LANES = Gauge "weft_ingress_held_lanes" ["ingress"]
        "Lanes that stand still behind an event that nobody takes (on_rejected: pause).";
    INGRESS_LAG = Gauge "weft_ingress_lag_events" ["ingress"]
        "Messages that the remote still holds for this ingress; absent where that cannot be known.";
    INGRESS_OLDEST = Gauge "weft_ingress_oldest_unsettled_seconds" ["ingress"]
        "Age of the oldest event that is not settled; 0 when there is none.";

    OBLIGATIONS = Counter "weft_obligations_total" ["ingress"]
        "Obligations that the routes gave to events of this ingress: one for each event and destination.";
    OBLIGATIONS_SETTLED = Counter "weft_obligations_settled_total" ["ingress", "result"]
        "Obligations that ended, by result: delivered, dead_lettered, stored, dropped, expired, returned.";
    OBLIGATIONS_PENDING = Gauge "weft_obligations_pending" ["ingress"]
        "Obligations not yet met; weft_obligations_total less all results, when nothing is under way.";

    ROUTE_MATCHED = Counter "weft_route_matched_total" ["route"]
        "Events that this route matched.";

    DESTINATION_ENQUEUED = Counter "weft_destination_enqueued_total" ["destination"]
        "Events put into this destination's queue.";
    DESTINATION_DELIVERED = Counter "weft_destination_delivered_total" ["destination"]
        "Events that the remote confirmed.";
    DESTINATION_DIRECT = Counter "weft_destination_direct_total" ["destination"]
        "Events sent from the request's own task, past the queue.";
    DESTINATION_RETRIED = Counter "weft_destination_retried_total" ["destination"]
        "Attempts after the first one.";
    DESTINATION_RETRIES_DEFERRED = Counter "weft_destination_retries_deferred_total" ["destination"]
        "Times an event had to wait for the retry budget before it was sent again.";
    DESTINATION_DEDUPLICATED = Counter "weft_destination_deduplicated_total" ["destination"]
        "Events not sent because the remote had confirmed a copy within the window of dedupe.";
    DESTINATION_DEDUPE_EVICTIONS = Counter "weft_destination_dedupe_evictions_total" ["destination"]
        "Deliveries forgotten before the window of dedupe had passed, because max_entries was reached.";
    DESTINATION_FAILED = Counter "weft_destination_failed_total" ["destination", "fault", "reason"]
        "Attempts that were not confirmed, by whose fault it was (event, attempt, destination) and why.";
    DESTINATION_REJECTED = Counter "weft_destination_rejected_total" ["destination"]
        "Events that this destination will never take.";
    DESTINATION_DEAD_LETTERED = Counter "weft_destination_dead_lettered_total" ["destination"]
        "Events owed to this destination that ended in the dead letter.";
    DESTINATION_EXPIRED = Counter "weft_destination_expired_total" ["destination"]
        "Events that expired before this destination took them.";
    DESTINATION_POSSIBLE_DUPLICATES = Counter "weft_destination_possible_duplicates_total" ["destination"]
        "Events sent again although the remote may have taken them before (a time-out, a reset).";
    DESTINATION_MOVED = Counter "weft_destination_moved_total" ["destination", "how"]
        "Events that moved away to another destination, by how: fallback, repick.";
    DESTINATION_PENDING_EVENTS = Gauge "weft_destination_pending_events" ["destination"]
        "Events that wait in the queue or for a confirmation.";
    DESTINATION_PENDING_BYTES = Gauge "weft_destination_pending_bytes" ["destination"]
        "Bytes of the events that wait in the queue or for a confirmation.";
    DESTINATION_IN_FLIGHT = Gauge "weft_destination_in_flight_events" ["destination"]
        "Events handed to the connector and not yet confirmed.";
    DESTINATION_OLDEST = Gauge "weft_destination_oldest_seconds" ["destination"]
        "Age of the oldest event that waits; 0 when there is none.";
    BREAKER_STATE = Gauge "weft_breaker_state" ["destination"]
        "The destination's breaker: 0 closed, 1 half open (a probe is under way), 2 open.";

    STORE_FOUND = Counter "weft_store_found_total" ["log"]
        "Events that the log held when the process started.";
    STORE_APPENDED = Counter "weft_store_appended_total" ["log"]
        "Events that became durable in the log.";
    STORE_SETTLED = Counter "weft_store_settled_total" ["log", "result"]
        "Events that left the log, by result: delivered, dead_lettered, stored (in another log), dropped, expired, damaged, purged; returned ones stay, and are sent again.";
    STORE_REFUSED = Counter "weft_store_refused_total" ["log"]
        "Events that the log did not take, because it failed.";
    STORE_PENDING = Gauge "weft_store_pending_events" ["log"]
        "Events in the log.";
    STORE_ORPHANED = Gauge "weft_store_orphaned_events" ["log"]
        "Events in the log that nobody delivers, since the file does not have its destination.";
    STORE_UNDER_WAY = Gauge "weft_store_under_way_events" ["log"]
        "Events that were read from the log and are on their way.";
    STORE_WAITING = Gauge "weft_store_waiting_events" ["log"]
        "Events that wait in memory for room in the log; their senders still have them.";
    STORE_BYTES = Gauge "weft_store_bytes" ["log"]
        "Bytes that the log has on the disk.";
    STORE_MAX_BYTES = Gauge "weft_store_max_bytes" ["log"]
        "Bytes that the log may have on the disk; 0 for one that nobody delivers, which takes nothing.";
    STORE_LEFT = Gauge "weft_store_left_bytes" ["of"]
        "Bytes that may still be taken: of the store, its max_bytes less what its logs have (the local dead letters have room of their own); of the disk, what it has free beyond keep_free.";
    STORE_HELD = Gauge "weft_store_held_lanes" ["log"]
        "1 while an event that nobody takes holds the log up.";
    STORE_OLDEST = Gauge "weft_store_oldest_seconds" ["log"]
        "Age of the oldest event in the log, once it was read; of dead letters, since the oldest came; 0 when there is none.";
    STORE_FULL = Gauge "weft_store_full" ["log"]
        "1 while the log has no room, or its disk less than keep_free.";
    STORE_FAILED = Gauge "weft_store_failed" ["log"]
        "1 once a write or sync of the log has failed: it takes nothing more before a restart.";

    MEMORY_BUDGET = Gauge "weft_memory_budget_bytes" []
        "The byte budget for events: limits.memory less a quarter for client buffers.";
    MEMORY_USED = Gauge "weft_memory_used_bytes" []
        "Bytes of the budget that admitted events hold.";
    BUILD_INFO = Gauge "weft_build_info" ["version"]
        "Always 1; the version is the label.";
    CONFIG_RELOADS = Counter "weft_config_reloads_total" ["result"]
        "Reloads of the configuration, by result: applied, unchanged, refused.";
    UPTIME = Gauge "weft_uptime_seconds" []
        "Seconds since the process started.";
}
