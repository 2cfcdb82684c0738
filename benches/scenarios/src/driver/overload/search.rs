//! Looks for the load that can be sustained: rates go up until one is not kept up with, then the gap is halved a few times.
//! A rate is kept up with where what arrives is what is offered, and nothing is refused.

use std::time::Duration;

use super::world::World;
use super::{Case, Limit};
use crate::{Failure, tool};

/// Where what arrives is less than this part of what is offered, the rate is not kept up with.
const KEPT: f64 = 0.98;
/// How often the gap is halved.
const HALVINGS: usize = 4;
/// A rate that is not kept up with is tried again: something else may have had the cores.
const TRIES: usize = 2;
/// What the search begins with where nothing is known, in events a second.
const START: f64 = 1500.0;
/// Steps up, beyond which the sender, not the router, is being measured.
const STEPS_MAX: usize = 12;
/// How long a probe's backlog may take.
const DRAIN: Duration = Duration::from_secs(120);

/// What the search found, in events a second.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The highest rate that was kept up with.
    pub sustainable: f64,
    /// The most that came through at any rate.
    pub best: f64,
}

/// How long a rate is looked at, in seconds.
#[must_use]
pub fn probe_seconds(seconds: usize) -> usize {
    (seconds / 30).clamp(4, 10)
}

/// Searches.
///
/// # Errors
/// No rate is kept up with, or every rate is.
pub fn search(world: &World, case: &Case) -> Result<Found, Failure> {
    let seconds = probe_seconds(case.seconds);
    let mut best: f64 = 0.0;
    let mut probe = |rate: f64| -> Result<bool, Failure> {
        for _ in 0..TRIES {
            let (kept, goodput) = probe(world, rate, seconds)?;
            best = best.max(goodput);
            let not = if kept { "" } else { ", not kept up" };
            tool::note(&format!("  {rate:.0}/s: {goodput:.0}/s came through{not}"));
            if kept {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut low = 0.0;
    let mut high = match case.limit {
        Limit::Destination => 0.7 * case.capacity as f64,
        Limit::Cpu => START,
    };
    let mut steps = 0;
    while probe(high)? {
        (low, high, steps) = (high, high * 1.5, steps + 1);
        if steps == STEPS_MAX {
            return Err(format!("{low:.0}/s are kept up with: no limit was found").into());
        }
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if probe(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    if low <= 0.0 {
        return Err(format!("not even {high:.0}/s are kept up with").into());
    }
    Ok(Found {
        sustainable: low,
        best,
    })
}

/// Whether a rate is kept up with, and what came through; then waits until all of it has.
fn probe(world: &World, rate: f64, seconds: usize) -> Result<(bool, f64), Failure> {
    world.stage.pace.set(rate);
    let from = world.stage.next_second();
    let to = from + seconds;
    world.stage.wait_for(to);
    let sum = world.stage.books.sum(0, from..to);
    world.stage.rest(DRAIN)?;
    let per_second = |count: usize| count as f64 / seconds as f64;
    let goodput = per_second(sum.arrived);
    if per_second(sum.offered) < rate * KEPT {
        return Ok((false, goodput));
    }
    Ok((
        sum.refused == 0 && sum.unknown == 0 && goodput >= rate * KEPT,
        goodput,
    ))
}
