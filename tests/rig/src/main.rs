//! `weft-rig BROKER... -- COMMAND...` runs a command with brokers at hand, whose addresses it finds in variables, and
//! ends as the command ends. `make test` wraps all test binaries in one such call, so that each broker starts once.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::thread;

use weft_rig::{Artemis, Kafka, Mosquitto, RabbitMq, Shared};

const USAGE: &str = "usage: weft-rig BROKER... -- COMMAND [ARGUMENT...]
       BROKER is kafka, artemis, mosquitto, rabbitmq, or all for each of them";

const ALL: [&str; 4] = ["kafka", "artemis", "mosquitto", "rabbitmq"];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut halves = args.splitn(2, |arg| *arg == "--");
    let (names, command) = (halves.next().unwrap_or_default(), halves.next());
    let names = if names == ["all"] { &ALL } else { names };
    let known = !names.is_empty() && names.iter().all(|name| ALL.contains(name));
    match command {
        Some([program, rest @ ..]) if known => with_brokers(names, program, rest),
        _ => {
            say(USAGE);
            ExitCode::from(2)
        }
    }
}

/// A broker that runs until this is dropped.
struct Running {
    name: &'static str,
    value: String,
    _process: Box<dyn Send>,
}

/// All at the same time: one of them takes ten seconds.
fn with_brokers(names: &[&str], program: &str, args: &[&str]) -> ExitCode {
    let starts: Vec<_> = names.iter().filter_map(|name| start_of(name)).collect();
    let running: Vec<Running> = thread::scope(|scope| {
        let starts: Vec<_> = starts.iter().map(|start| scope.spawn(start)).collect();
        let join = |started: thread::ScopedJoinHandle<'_, Running>| {
            started.join().unwrap_or_else(|_| std::process::exit(1))
        };
        starts.into_iter().map(join).collect()
    });
    let mut command = Command::new(program);
    command.args(args);
    for broker in &running {
        say(&format!("{}={}", broker.name, broker.value));
        command.env(broker.name, &broker.value);
    }
    let status = command.status();
    drop(running);
    match status {
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(e) => {
            say(&format!("starting {program}: {e}"));
            ExitCode::from(127)
        }
    }
}

fn start_of(name: &str) -> Option<fn() -> Running> {
    Some(match name {
        "kafka" => kafka,
        "artemis" => one::<Artemis>,
        "mosquitto" => one::<Mosquitto>,
        "rabbitmq" => one::<RabbitMq>,
        _ => return None,
    })
}

fn kafka() -> Running {
    let broker = Kafka::private();
    Running {
        name: "WEFT_TEST_KAFKA",
        value: broker.brokers().to_owned(),
        _process: Box::new(broker),
    }
}

fn one<B: Shared>() -> Running {
    let broker = B::private();
    Running {
        name: B::VARIABLE,
        value: broker.value(),
        _process: Box::new(broker),
    }
}

fn say(line: &str) {
    // Nobody is there to be told that the standard error is gone.
    let _ = writeln!(std::io::stderr(), "weft-rig: {line}");
}
