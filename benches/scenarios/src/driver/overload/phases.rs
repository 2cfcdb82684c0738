//! The phases after the search: normal, overload, return, rest; and what makes a case void.

use std::ops::Range;
use std::time::Duration;

use super::report::{Report, Return};
use super::search::Found;
use super::world::World;
use super::{Case, Ingress, Limit};
use crate::Failure;
use crate::books::{Second, quantile_ms};

/// How long the load is half of what can be sustained before the overload, in seconds.
pub const NORMAL: usize = 10;
/// Seconds in a row that must be as before.
const STEADY: usize = 3;
/// Latency is as before where it is no more than so many times the worst second of the normal phase, or this.
const AS_BEFORE: f64 = 2.0;
const AS_BEFORE_MS: f64 = 20.0;
/// How long the return is waited for, in seconds, after the backlog is gone.
const RETURN_MAX: usize = 60;
/// Fewer accepted events say nothing.
const EVENTS_MIN: usize = 10_000;
/// Less than this part of twice the load was offered: no overload.
const OFFERED_MIN: f64 = 0.9;
/// Where more than so many times the sustained rate came through, the search had found too little.
const FOUND_MAX: f64 = 1.2;
/// How long the last events may take.
const REST: Duration = Duration::from_secs(120);

/// Runs them.
///
/// # Errors
/// The overload did not happen, or a process failed.
pub fn run(world: &World, case: &Case, found: Found) -> Result<Report, Failure> {
    world.stage.pace.set(found.sustainable / 2.0);
    let normal = phase(world, NORMAL);
    let normal_peaks = world.stage.watch.take();
    let usual = usual_ms(&world.stage.books.seconds(0, normal.clone()), case);

    world.stage.pace.set(found.sustainable * 2.0);
    let loaded = phase(world, case.seconds);
    let (open, backlog) = world.stage.books.open();
    let peaks = world.stage.watch.take();
    let overload = world.stage.books.sum(0, loaded.clone());

    world.stage.pace.set(found.sustainable / 2.0);
    let ended = loaded.end;
    let back = back(world, case, found, (ended, backlog), usual)?;
    world.stage.rest(REST)?;
    let totals = world.stage.books.totals();

    let offered = overload.offered as f64 / case.seconds as f64;
    let wanted = found.sustainable * 2.0;
    let idle = case.limit == Limit::Destination
        && match case.ingress {
            Ingress::Http => overload.refused == 0,
            _ => (backlog as f64) < 0.3 * found.sustainable * case.seconds as f64,
        };
    if totals.accepted < EVENTS_MIN
        || offered < wanted * OFFERED_MIN && case.limit == Limit::Destination
        || idle
    {
        return Err(format!(
            "void: {} events accepted, {offered:.0}/s offered where {wanted:.0}/s were due, {} refused, {backlog} behind",
            totals.accepted, overload.refused
        )
        .into());
    }
    let goodput = overload.arrived as f64 / case.seconds as f64;
    if goodput > found.sustainable * FOUND_MAX {
        let sustainable = found.sustainable;
        return Err(format!(
            "void: {goodput:.0}/s came through, but {sustainable:.0}/s had been taken for the most"
        )
        .into());
    }
    Ok(Report {
        case: case.clone(),
        found,
        window: world.window,
        usual_ms: usual,
        overload,
        open,
        backlog,
        back,
        totals,
        base_mib: world.base_mib,
        normal_mib: normal_peaks.resident_mib,
        peak_mib: world.stage.memory()?.peak,
        peaks,
    })
}

fn phase(world: &World, seconds: usize) -> Range<usize> {
    let from = world.stage.next_second();
    world.stage.wait_for(from + seconds);
    from..from + seconds
}

/// What a second's latency is: of HTTP until the promise, else until the event is there, since the broker promises.
fn latency(second: &Second, case: &Case) -> Option<f64> {
    let micros = match case.ingress {
        Ingress::Http => &second.accept_us,
        _ => &second.transit_us,
    };
    quantile_ms(micros, 990)
}

/// The worst second's latency at p99.
fn usual_ms(seconds: &[Second], case: &Case) -> f64 {
    let each = seconds.iter().filter_map(|second| latency(second, case));
    each.fold(0.0, f64::max)
}

fn back(
    world: &World,
    case: &Case,
    found: Found,
    (ended, backlog): (usize, usize),
    usual: f64,
) -> Result<Return, Failure> {
    let mut at = ended + 1;
    // An in-order ingress catches up first. New events wait behind the backlog until then.
    let few = (found.sustainable / 4.0) as usize;
    let limit = ended + 1 + RETURN_MAX + 6 * case.seconds;
    while world.stage.books.open().1 > few {
        at += 1;
        if at > limit {
            return Err(format!(
                "{} events are behind still, {} s after the overload",
                world.stage.books.open().1,
                at - ended
            )
            .into());
        }
        world.stage.wait_for(at);
    }
    let drained = at;
    let drain = (drained > ended + 2).then(|| {
        let sum = world.stage.books.sum(0, ended + 1..drained - 1);
        sum.arrived as f64 / (drained - 1 - ended - 1).max(1) as f64
    });
    let normal = (usual * AS_BEFORE).max(AS_BEFORE_MS);
    let as_before =
        |second: &Second| second.refused == 0 && latency(second, case).is_some_and(|ms| ms <= normal);
    let mut steady = 0;
    // The first whole second after the change of rate, or after the backlog was gone.
    let from = if backlog > few { drained } else { ended };
    at = from;
    while steady < STEADY && at - from < RETURN_MAX {
        world.stage.wait_for(at + 1);
        let seconds = world.stage.books.seconds(0, at..at + 1);
        steady = if seconds.iter().all(as_before) {
            steady + 1
        } else {
            0
        };
        at += 1;
    }
    Ok(Return {
        drained_s: drained.saturating_sub(ended + 1),
        drain_rate: drain,
        normal_s: (steady == STEADY).then(|| at - STEADY - from),
    })
}
