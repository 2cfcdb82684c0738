//! A receiving link: credit given, and the message that is being put together.

use bytes::{Bytes, BytesMut};

use super::event::Violation;
use super::serial;
use crate::condition;
use crate::performative::Transfer;
use crate::value::{Fields, Symbol};

/// The most credit that is given.
const CREDIT_MAX: u32 = (1 << 31) - 1;

/// See the module.
#[derive(Default)]
pub(super) struct Receiver {
    /// Deliveries that came, as the sender counts them.
    pub(super) delivery_count: u32,
    /// How many more may come, as we said last.
    pub(super) credit: u32,
    /// The delivery-count beyond which nothing was ever allowed: credit that is taken back may have been used already.
    limit: u32,
    /// What of the credit is not used is to be given back.
    pub(super) draining: bool,
    /// The filters that the peer applies.
    pub(super) filter: Fields,
    /// The peer sends settled, whatever was asked of it.
    pub(super) settled: bool,
    /// How the peer hands messages out, if it says.
    pub(super) distribution: Option<Symbol>,
    partial: Option<Partial>,
}

/// A message of which parts have come.
struct Partial {
    delivery_id: u32,
    tag: Bytes,
    settled: bool,
    message_format: u32,
    parts: BytesMut,
    bytes: u64,
}

/// What a transfer completed.
pub(super) enum Complete {
    Message {
        delivery_id: u32,
        tag: Bytes,
        settled: bool,
        message_format: u32,
        payload: Bytes,
    },
    TooLarge {
        delivery_id: u32,
        settled: bool,
        bytes: u64,
    },
    /// It was taken back; its credit is used.
    Aborted,
}

impl Receiver {
    /// The peer attached with this delivery-count.
    pub(super) fn attached(&mut self, delivery_count: u32) {
        self.delivery_count = delivery_count;
        self.limit = delivery_count;
        self.credit = 0;
    }

    /// From now on `credit` deliveries may come: at most [`CREDIT_MAX`], so that counts can be compared.
    pub(super) fn grant(&mut self, credit: u32) {
        let credit = credit.min(CREDIT_MAX);
        self.draining = false;
        self.credit = credit;
        let limit = self.delivery_count.wrapping_add(credit);
        if serial::ahead(self.limit, limit).is_some() {
            self.limit = limit;
        }
    }

    /// The same for as many as there are: the sender is to use the credit or give it back.
    pub(super) fn drain(&mut self, credit: u32) {
        self.grant(credit);
        self.draining = true;
    }

    /// The credit for a message that is half way is counted again; the sender may use it for another one all the same.
    pub(super) fn go_on(&mut self) {
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.limit = self.delivery_count.wrapping_add(1);
    }

    /// Whether a message has begun to come, and has not ended.
    pub(super) fn is_half_way(&self) -> bool {
        self.partial.is_some()
    }

    /// The sender moved its delivery-count: whether it gave credit back.
    pub(super) fn advanced(&mut self, delivery_count: u32) -> bool {
        // Not further than what it had, whatever it says.
        let by = serial::ahead(self.delivery_count, delivery_count)
            .unwrap_or(0)
            .min(self.credit);
        self.delivery_count = self.delivery_count.wrapping_add(by);
        self.credit -= by;
        by > 0
    }

    /// A transfer of this link came. `first` says whether its delivery-id is a legal one for a new delivery.
    pub(super) fn transfer(
        &mut self,
        transfer: &Transfer,
        payload: Bytes,
        max: u64,
        first: impl FnOnce(u32) -> Result<(), Violation>,
    ) -> Result<Option<Complete>, Violation> {
        if self.partial.is_none() {
            let id = transfer.delivery_id.ok_or_else(|| {
                Violation::new(
                    condition::INVALID_FIELD,
                    "the first transfer of a delivery has no delivery-id",
                )
            })?;
            first(id)?;
            self.count()?;
            if transfer.aborted {
                return Ok(Some(Complete::Aborted));
            }
            let settled = transfer.settled.unwrap_or(false);
            let tag = transfer.delivery_tag.clone().unwrap_or_default();
            let message_format = transfer.message_format.unwrap_or(0);
            if !transfer.more {
                return Ok(Some(complete(id, tag, settled, message_format, payload, max)));
            }
            self.partial = Some(Partial {
                delivery_id: id,
                // The parts are copied; the tag must not keep the first frame alive.
                tag: Bytes::copy_from_slice(&tag),
                settled,
                message_format,
                parts: BytesMut::new(),
                bytes: 0,
            });
        } else if let (Some(id), Some(partial)) = (transfer.delivery_id, &self.partial)
            && id != partial.delivery_id
        {
            let what = format!(
                "delivery {id} begins before delivery {} has ended",
                partial.delivery_id
            );
            return Err(Violation::new(condition::NOT_ALLOWED, what));
        }
        self.part(transfer, &payload, max)
    }

    fn part(&mut self, transfer: &Transfer, payload: &[u8], max: u64) -> Result<Option<Complete>, Violation> {
        let Some(partial) = &mut self.partial else {
            return Ok(None);
        };
        if transfer.aborted {
            self.partial = None;
            return Ok(Some(Complete::Aborted));
        }
        partial.settled |= transfer.settled.unwrap_or(false);
        partial.bytes += payload.len() as u64;
        if partial.bytes <= max {
            partial.parts.extend_from_slice(payload);
        } else {
            partial.parts = BytesMut::new();
        }
        if transfer.more {
            return Ok(None);
        }
        let Some(partial) = self.partial.take() else {
            return Ok(None);
        };
        let Partial {
            delivery_id,
            tag,
            settled,
            message_format,
            parts,
            bytes,
        } = partial;
        if bytes > max {
            return Ok(Some(Complete::TooLarge {
                delivery_id,
                settled,
                bytes,
            }));
        }
        Ok(Some(complete(
            delivery_id,
            tag,
            settled,
            message_format,
            parts.freeze(),
            max,
        )))
    }

    fn count(&mut self) -> Result<(), Violation> {
        if self.delivery_count == self.limit {
            return Err(Violation::new(
                condition::TRANSFER_LIMIT_EXCEEDED,
                "a delivery came without credit",
            ));
        }
        self.delivery_count = self.delivery_count.wrapping_add(1);
        self.credit = self.credit.saturating_sub(1);
        Ok(())
    }
}

fn complete(
    delivery_id: u32,
    tag: Bytes,
    settled: bool,
    message_format: u32,
    payload: Bytes,
    max: u64,
) -> Complete {
    let bytes = payload.len() as u64;
    if bytes > max {
        return Complete::TooLarge {
            delivery_id,
            settled,
            bytes,
        };
    }
    Complete::Message {
        delivery_id,
        tag,
        settled,
        message_format,
        payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_never_ends_keeps_nothing_once_it_is_too_large() {
        let mut receiver = Receiver::default();
        receiver.grant(1);
        let mut transfer = Transfer {
            delivery_id: Some(0),
            more: true,
            ..Transfer::default()
        };
        for part in 1..100 {
            let payload = Bytes::from_static(&[0; 100]);
            assert!(matches!(
                receiver.transfer(&transfer, payload, 1000, |_| Ok(())),
                Ok(None)
            ));
            transfer.delivery_id = None;
            let kept = receiver
                .partial
                .as_ref()
                .map_or(0, |partial| partial.parts.capacity());
            assert!(
                kept <= if part <= 10 { 2000 } else { 0 },
                "{kept} bytes after {part}"
            );
        }
    }
}
