//! Whether a broker copies messages, as it says that it does.
//!
//! Some brokers answer an attach by its own words, `distribution-mode: copy` among them, and then hand messages out for good.
//! So two links ask for one message each: where both get the first one, the broker copies; where the second gets another one
//! or none, the first link has it. Neither message is accepted, and both go back. Since others may take the first message
//! away in between, or give one back, a broker is condemned only when it was so several times ([`TRIES`]).

use std::time::Duration;

use super::opening::{Delivered, Opening, release};
use crate::client::trouble::Trouble;
use crate::mapping::same;

/// Brokers that are known to answer so and to take, told by the product in their `open`: they are not tried.
const TAKES: &[&str] = &["RabbitMQ"];

/// How often two links must differ.
const TRIES: usize = 3;
/// The wait before two links are compared again.
const AGAIN: Duration = Duration::from_millis(100);

/// What was seen.
pub(super) enum Proof {
    /// It copies; the link stands behind the first message.
    Copies { token: usize, first: Delivered },
    /// Nothing is there, so nothing can be seen; the link has no credit.
    Empty { token: usize },
    /// It does not copy, or does not let us.
    Takes(Trouble),
}

/// Asks for a copy of the first message, twice.
///
/// # Errors
/// The connection or a link is gone, or the broker makes no progress.
pub(super) async fn of(opening: &mut Opening) -> Result<Proof, Trouble> {
    let (product, version) = opening.wire.product();
    if TAKES.contains(&product) {
        return Ok(Proof::Takes(takes(opening, &format!("{product} {version}"))));
    }
    for _ in 1..TRIES {
        if let Some(proof) = compare(opening).await? {
            return Ok(proof);
        }
        tokio::time::sleep(AGAIN).await;
    }
    let proof = compare(opening).await?;
    Ok(proof.unwrap_or_else(|| Proof::Takes(takes(opening, "this broker"))))
}

/// Asks two links for the first message; none: they got different ones.
async fn compare(opening: &mut Opening) -> Result<Option<Proof>, Trouble> {
    let token = match opening.attach(true).await? {
        Ok(token) => token,
        Err(refused) => return Ok(Some(Proof::Takes(refused))),
    };
    if !opening.wire.copies(token) {
        return Ok(Some(Proof::Takes(takes(opening, "this broker"))));
    }
    let Some(first) = one(opening, token).await? else {
        return Ok(Some(Proof::Empty { token }));
    };
    let other = match opening.attach(true).await? {
        Ok(other) => other,
        Err(refused) => return Ok(Some(Proof::Takes(refused))),
    };
    let second = one(opening, other).await?;
    release(&mut opening.wire, first.delivery);
    let copies = second.is_some_and(|second| {
        release(&mut opening.wire, second.delivery);
        match (&first.payload, &second.payload) {
            (Some(first), Some(second)) => same(first, second),
            // Two that are too large to be put together.
            (None, None) => true,
            _ => false,
        }
    });
    opening.wire.detach(other);
    if !copies {
        opening.wire.detach(token);
        return Ok(None);
    }
    Ok(Some(Proof::Copies { token, first }))
}

async fn one(opening: &mut Opening, token: usize) -> Result<Option<Delivered>, Trouble> {
    let mut one = None;
    opening.step(token, 1, |_, came| one = Some(came)).await?;
    Ok(one)
}

fn takes(opening: &Opening, who: &str) -> Trouble {
    Trouble::misconfigured(format!(
        "{}: `{}`: {who} cannot show messages without taking them (no `distribution-mode: copy`); nothing was taken; look \
         with the broker's own tools",
        opening.at, opening.address
    ))
}

/// Why a broker cannot be asked for all that is there, if it is known to be so.
pub(super) fn cannot_drain(opening: &Opening) -> Option<Trouble> {
    let (product, version) = opening.wire.product();
    (product == "RabbitMQ" && version.starts_with("3.")).then(|| {
        Trouble::misconfigured(format!(
            "{}: `{}`: RabbitMQ {version} ends a session that is to hand out what there is (`drain`); nothing was taken; \
             upgrade it to 4, or take the messages by an ingress",
            opening.at, opening.address
        ))
    })
}
