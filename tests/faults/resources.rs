//! The router is short of what it needs: files, memory. It may refuse, it says what is wrong, it loses nothing, and it
//! comes back by itself.

use std::net::TcpStream;
use std::time::Instant;

use weft_rig::{Lacking, MemoryLimit, eventually};

use crate::ballast::{Ballast, Weight};
use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::LIMIT;

/// Files and sockets that the router may have: what it needs, the connections of the load and those to its destination,
/// and some more.
const FILES: u32 = 300;
/// Idle connections, more than there are files.
const IDLE: usize = 400;
/// `limits.memory` (MiB).
const MEMORY: u64 = 32;
/// What the kernel lets it have: the limit and a tenth, and what the process takes without any event.
const ALLOWED: u64 = MEMORY + MEMORY / 10 + 48;
/// Senders that are stalled with their event, of this size: several times the limit together.
const GREEDY: usize = 400;
const GREEDY_BYTES: usize = 400 * 1024;

/// The rows that every machine can run.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut rows = Vec::new();
    for (to, always) in [
        (End::Http, true),
        (End::Kafka, false),
        (End::Amqp, false),
        (End::Mqtt, false),
    ] {
        let row = Scenario::new("no files left", Flow::new(End::Http, &[to]))
            .prepare(|run| run.builder = run.builder.take().map(|builder| builder.files(FILES)))
            .strikes(1, no_files_left);
        rows.push(if always { row.always() } else { row });
    }
    rows
}

/// The rows that need a memory limit; an error where this machine has none.
pub(crate) fn memory() -> Result<Vec<Scenario>, Lacking> {
    drop(MemoryLimit::mib(ALLOWED)?);
    let row = Scenario::new(
        "memory limit, destination stalled",
        Flow::new(End::Http, &[End::Http]),
    )
    .prepare(|run| {
        let limit = MemoryLimit::mib(ALLOWED).expect("there was one just now");
        run.builder = run.builder.take().map(|builder| builder.memory(&limit));
        run.kept.push(Box::new(limit));
        run.file.sections = format!("limits: {{ memory: {MEMORY}MiB }}");
    })
    .strikes(2, overload)
    .check(|run| {
        let limit = limit(run);
        eprintln!("  {} of {ALLOWED} MiB at most", limit.peak_mib());
        assert_eq!(limit.kills(), 0, "the kernel killed it");
    })
    .always();
    Ok(vec![row])
}

fn limit<'a>(run: &'a Run<'_>) -> &'a MemoryLimit {
    run.kept[0].downcast_ref().expect("it was put there first")
}

/// Connections that say nothing take every file; then they go.
fn no_files_left(run: &mut Run<'_>) {
    let mark = run.weft().log().mark();
    let port = run.from.port;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        // Those that are not accepted wait in the kernel.
        idle.push(TcpStream::connect(("127.0.0.1", port)).expect("the kernel takes it"));
    }
    run.weft()
        .log()
        .wait_from(mark, "a word about files", LIMIT, |line| {
            line.contains("limit of open files")
        });
    // Health and metrics are never shed (C22), and destinations are reached: there are files left for both.
    assert_eq!(run.weft().get("/healthz").status, 200);
    let open = run.weft().open_files();
    assert!(open < FILES as usize, "{open} of {FILES} files are open");
    assert!(
        run.wait_arrivals(200),
        "nothing arrives while connections take all that they get"
    );
    drop(idle);
    assert!(
        run.wait_arrivals(500),
        "nothing arrives after files are there again"
    );
    eventually("files that are free again", LIMIT, || {
        (run.weft().open_files() < FILES as usize * 3 / 4).then_some(())
    });
}

/// More than it can hold, while nothing goes out.
fn overload(run: &mut Run<'_>) {
    let budget = run.weft().metrics().sum("weft_memory_budget_bytes", &[]);
    run.sink(0).hold(true);
    let weight = Weight {
        bytes: GREEDY_BYTES,
        attributes: Vec::new(),
    };
    let ballast = Ballast::start(run.from.port, GREEDY, &weight);
    let began = Instant::now();
    loop {
        assert_eq!(
            limit(run).kills(),
            0,
            "the kernel killed it: {} MiB of {ALLOWED}",
            limit(run).peak_mib()
        );
        let used = run.weft().metrics().sum("weft_memory_used_bytes", &[]);
        // Full: the next one has no room.
        if ballast.refused() > 10 * GREEDY && used > budget / 3.0 {
            break;
        }
        assert!(
            began.elapsed() < LIMIT,
            "void: {used} of {budget} bytes are used, {} events refused",
            ballast.refused()
        );
        std::thread::park_timeout(LIMIT / 1000);
    }
    drop(ballast);
    run.sink(0).hold(false);
    assert!(run.wait_arrivals(100), "nothing arrives after the overload");
}
