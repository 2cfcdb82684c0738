//! `weft status`: a line for each ingress and destination of a router that runs, from its admin port.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use crate::admin::snapshot::{
    BreakerState, BreakerStatus, DestinationStatus, HealthStatus, HeldBack, IngressStatus, LastError,
    LogStatus, Snapshot,
};

use super::text::{Table, age, bytes, plain};
use super::{CliError, block_on, client};

/// Rates come from two looks at the totals, so far apart.
const RATE_OVER: Duration = Duration::from_secs(1);

/// How often `--watch` looks.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The router's `admin.listen`.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9465")]
    admin: String,
    /// Print what the router says, as JSON, once.
    #[arg(long, conflicts_with = "watch")]
    json: bool,
    /// Look again every two seconds until interrupted.
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    block_on(async {
        let mut before = look(&args.admin).await?;
        if args.json {
            let text = serde_json::to_string_pretty(&before)
                .map_err(|error| CliError::Internal(format!("encoding the status: {error}")))?;
            writeln!(out, "{text}")?;
            return Ok(());
        }
        let mut pause = RATE_OVER;
        loop {
            tokio::time::sleep(pause).await;
            let now = look(&args.admin).await?;
            if args.watch && std::io::stdout().is_terminal() {
                // Home, then clear what is below: less flicker than clearing first.
                write!(out, "\u{1b}[H\u{1b}[J")?;
            }
            write(&before, &now, out)?;
            if !args.watch {
                return Ok(());
            }
            writeln!(out)?;
            out.flush()?;
            (before, pause) = (now, WATCH_EVERY);
        }
    })
}

async fn look(admin: &str) -> Result<Snapshot, CliError> {
    let url = format!("http://{admin}/status");
    let reply = client::get(&url).await.map_err(|error| match error {
        CliError::Unavailable(why) => CliError::Unavailable(format!(
            "{why}\n  is weft running, and is {admin} its admin.listen? name it with --admin HOST:PORT"
        )),
        other => other,
    })?;
    if !reply.status.is_success() {
        return Err(CliError::Failed(format!(
            "{url}: {}; is this an admin port of Weft?",
            reply.status
        )));
    }
    serde_json::from_slice(&reply.body)
        .map_err(|error| CliError::Failed(format!("{url}: this is no status of Weft: {error}")))
}

/// Writes `now`, with rates since `before`.
fn write(before: &Snapshot, now: &Snapshot, out: &mut dyn Write) -> Result<(), CliError> {
    let over = now.uptime_s - before.uptime_s;
    writeln!(
        out,
        "weft {}  {}@{}  up {}  {}  memory {} of {}",
        plain(&now.version),
        plain(&now.node),
        plain(&now.cluster),
        age(now.uptime_s),
        if now.ready { "ready" } else { "NOT READY" },
        bytes(now.memory.used_bytes),
        bytes(now.memory.budget_bytes),
    )?;
    let mut table = Table::new(&[
        "INGRESS",
        "STATE",
        ">RATE",
        ">LAG",
        ">OLDEST",
        ">UNSETTLED",
        ">HELD",
        "ADDRESS",
        "LAST ERROR",
    ]);
    for ingress in &now.ingress {
        let last = before
            .ingress
            .iter()
            .find(|i| i.name == ingress.name)
            .map(|i| i.events_total);
        table.row(ingress_row(ingress, rate(last, ingress.events_total, over)));
    }
    writeln!(out)?;
    table.write(out)?;
    let mut table = Table::new(&[
        "DESTINATION",
        "STATE",
        ">RATE",
        ">PENDING",
        ">BYTES",
        ">OLDEST",
        ">IN FLIGHT",
        "BREAKER",
        "ADDRESS",
        "LAST ERROR",
    ]);
    for destination in &now.destinations {
        let last = before
            .destinations
            .iter()
            .find(|d| d.name == destination.name)
            .map(|d| d.delivered_total);
        table.row(destination_row(
            destination,
            rate(last, destination.delivered_total, over),
        ));
    }
    writeln!(out)?;
    table.write(out)?;
    logs(&now.logs, out)
}

/// The logs of the store, and how many dead letters wait for somebody.
fn logs(logs: &[LogStatus], out: &mut dyn Write) -> Result<(), CliError> {
    if logs.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        "LOG", "STATE", ">PENDING", ">BYTES", ">WAITING", ">OLDEST", ">DAMAGED",
    ]);
    for log in logs {
        let state = match &log.failed {
            Some(_) => "FAILED",
            None if log.orphaned && log.pending > 0 => "ORPHAN",
            None if log.full => "FULL",
            None => "ready",
        };
        table.row(vec![
            log.name.clone(),
            state.to_owned(),
            log.pending.to_string(),
            bytes(log.bytes),
            log.waiting.to_string(),
            age(log.oldest_s),
            log.damaged_total.to_string(),
        ]);
    }
    writeln!(out)?;
    table.write(out)?;
    for log in logs {
        if let Some(why) = &log.failed {
            writeln!(
                out,
                "{} takes nothing more before a restart: {}",
                plain(&log.name),
                plain(why)
            )?;
        }
    }
    for log in logs.iter().filter(|log| log.orphaned && log.pending > 0) {
        let name = plain(&log.name);
        writeln!(
            out,
            "{name} is not in the file, and nobody delivers what its log holds: name it again, or write removed: {{ {name}: purge }}"
        )?;
    }
    let dead: u64 = logs
        .iter()
        .filter(|log| log.dead_letters)
        .map(|log| log.pending)
        .sum();
    if dead > 0 {
        let wait = if dead == 1 { "letter waits" } else { "letters wait" };
        writeln!(out, "{dead} dead {wait} for somebody: weft dlq list")?;
    }
    Ok(())
}

fn ingress_row(ingress: &IngressStatus, rate: String) -> Vec<String> {
    vec![
        ingress.name.clone(),
        state(&ingress.health).to_owned(),
        rate,
        ingress.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
        age(ingress.oldest_s),
        ingress.unsettled.to_string(),
        ingress.held_lanes.to_string(),
        ingress.address.clone(),
        trouble(&ingress.health, ingress.last_error.as_ref()),
    ]
}

fn destination_row(destination: &DestinationStatus, rate: String) -> Vec<String> {
    vec![
        destination.name.clone(),
        state(&destination.health).to_owned(),
        rate,
        destination.pending_events.to_string(),
        bytes(destination.pending_bytes),
        age(destination.oldest_s),
        destination.in_flight.to_string(),
        breaker(destination.breaker),
        destination.address.clone(),
        held_back(destination)
            .unwrap_or_else(|| trouble(&destination.health, destination.last_error.as_ref())),
    ]
}

/// Events a second; `-` for a name that was not there before, or a router that started anew in between.
fn rate(before: Option<u64>, now: u64, over: f64) -> String {
    match before.and_then(|before| now.checked_sub(before)) {
        Some(more) if over > 0.0 => format!("{:.1}/s", more as f64 / over),
        _ => "-".to_owned(),
    }
}

fn state(health: &HealthStatus) -> &'static str {
    match health {
        HealthStatus::Starting => "starting",
        HealthStatus::Ready => "ready",
        HealthStatus::Waiting { .. } => "waiting",
    }
}

fn breaker(breaker: BreakerStatus) -> String {
    let state = match breaker.state {
        BreakerState::Closed => "closed",
        BreakerState::HalfOpen => "half open",
        BreakerState::Open => "OPEN",
    };
    match breaker.retry_in_s {
        Some(wait) => format!("{state}, retry in {}", age(wait)),
        None => state.to_owned(),
    }
}

/// What holds it back, where nothing is wrong with it.
fn held_back(destination: &DestinationStatus) -> Option<String> {
    let well = destination.health == HealthStatus::Ready && destination.breaker.state == BreakerState::Closed;
    let why = match destination.held_back.filter(|_| well)? {
        HeldBack::Rate => "waits for its rate",
        HeldBack::RetryBudget => "retries wait for their budget",
    };
    Some(match &destination.last_error {
        Some(last) => format!("{why}; {} ago: {}", age(last.age_s), last.line),
        None => why.to_owned(),
    })
}

/// What it waits for now, else the last thing that went wrong.
fn trouble(health: &HealthStatus, last: Option<&LastError>) -> String {
    match (health, last) {
        (HealthStatus::Waiting { on }, _) => format!("waiting: {on}"),
        (_, Some(last)) => format!("{} ago: {}", age(last.age_s), last.line),
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn snapshot(uptime_s: f64, events_total: u64) -> Snapshot {
        let web = IngressStatus {
            name: "web".to_owned(),
            health: HealthStatus::Ready,
            events_total,
            address: "http://127.0.0.1:8080/events".to_owned(),
            ..IngressStatus::default()
        };
        let crm = DestinationStatus {
            name: "crm".to_owned(),
            health: HealthStatus::Waiting {
                on: "crm:443: connection refused".to_owned(),
            },
            delivered_total: 10,
            pending_events: 7,
            pending_bytes: 2048,
            oldest_s: 75.0,
            breaker: BreakerStatus {
                state: BreakerState::Open,
                retry_in_s: Some(4.0),
            },
            address: "https://crm/events".to_owned(),
            ..DestinationStatus::default()
        };
        Snapshot {
            node: "n1".to_owned(),
            cluster: "paris".to_owned(),
            version: "0.1.0".to_owned(),
            uptime_s,
            ready: true,
            ingress: vec![web],
            destinations: vec![crm],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_line_for_each_ingress_and_destination_says_what_an_operator_asks_first() {
        let mut text = Vec::new();
        write(&snapshot(100.0, 1000), &snapshot(102.0, 1500), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let expected = "\
weft 0.1.0  n1@paris  up 1m  ready  memory 0 B of 0 B

INGRESS  STATE     RATE  LAG  OLDEST  UNSETTLED  HELD  ADDRESS                       LAST ERROR
web      ready  250.0/s    -    0.0s          0     0  http://127.0.0.1:8080/events

DESTINATION  STATE     RATE  PENDING    BYTES  OLDEST  IN FLIGHT  BREAKER              ADDRESS             LAST ERROR
crm          waiting  0.0/s        7  2.0 KiB      1m          0  OPEN, retry in 4.0s  https://crm/events  waiting: crm:443: connection refused
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_destination_that_is_well_and_held_back_says_by_what() {
        let mut destination = DestinationStatus {
            health: HealthStatus::Ready,
            held_back: Some(HeldBack::Rate),
            ..DestinationStatus::default()
        };
        let last =
            |destination: &DestinationStatus| destination_row(destination, String::new()).pop().unwrap();
        assert_eq!(last(&destination), "waits for its rate");
        destination.held_back = Some(HeldBack::RetryBudget);
        destination.last_error = Some(LastError {
            line: "503".to_owned(),
            age_s: 2.0,
        });
        assert_eq!(last(&destination), "retries wait for their budget; 2.0s ago: 503");
        destination.breaker.state = BreakerState::Open;
        assert_eq!(last(&destination), "2.0s ago: 503", "the breaker is the reason");
    }

    #[test]
    fn a_log_says_how_it_stands_and_dead_letters_are_told() {
        let log = |name: &str, pending| LogStatus {
            name: name.to_owned(),
            pending,
            dead_letters: name == "local",
            ..LogStatus::default()
        };
        let failed = LogStatus {
            failed: Some("fdatasync: EIO".to_owned()),
            damaged_total: 2,
            ..log("crm", 7)
        };
        let orphan = LogStatus {
            orphaned: true,
            ..log("old", 4)
        };
        let mut text = Vec::new();
        logs(&[failed, log("local", 3), orphan], &mut text).unwrap();
        let expected = "
LOG    STATE   PENDING  BYTES  WAITING  OLDEST  DAMAGED
crm    FAILED        7    0 B        0    0.0s        2
local  ready         3    0 B        0    0.0s        0
old    ORPHAN        4    0 B        0    0.0s        0
crm takes nothing more before a restart: fdatasync: EIO
old is not in the file, and nobody delivers what its log holds: name it again, or write removed: { old: purge }
3 dead letters wait for somebody: weft dlq list
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_router_that_started_anew_has_no_negative_rate() {
        assert_eq!(rate(Some(10), 3, 2.0), "-");
        assert_eq!(rate(Some(10), 12, 0.0), "-");
        assert_eq!(rate(None, 12, 2.0), "-");
    }
}
