//! Records that a lane cannot read, such as a later version wrote: they are passed, and stay in the log, unless it is purged.

use super::LogLane;

impl LogLane {
    /// A purge takes what was passed, too: it reads once more from the front.
    pub(super) fn go_back(&mut self) {
        if let (true, true, Some(reader)) = (self.purging, self.passed, &mut self.reader) {
            reader.rewind();
            (self.read_to, self.passed) = (0, false);
        }
    }

    pub(super) fn unreadable(&mut self, sequence: u64) {
        let log = &self.queue.name;
        if self.purging {
            tracing::warn!(%log, sequence, "a record that this version cannot read is purged");
            self.queue.metrics.purged.inc();
            self.queue.log.acknowledge(sequence..sequence + 1);
            return;
        }
        self.passed = true;
        tracing::error!(
            %log,
            sequence,
            "a record that this version cannot read: it stays in the log (use the version that wrote it)"
        );
    }
}
