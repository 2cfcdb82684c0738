//! `scenarios FLOW|idle|all`: runs plain loop and router in turns and prints tables in Markdown.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use weft_scenarios::driver::{Plan, amqp, http, idle, kafka, mqtt, store};
use weft_scenarios::{Failure, tool};

/// Compares the router with plain loops that do the same work by hand.
#[derive(Parser)]
struct Args {
    /// What to run.
    scenario: Scenario,
    /// Events of one measured run; by default 1,000,000 from Kafka to Kafka, and 200,000 elsewhere.
    #[arg(long)]
    events: Option<usize>,
    /// How often each side runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The router's binary; by default the one beside this executable.
    #[arg(long)]
    weft: Option<PathBuf>,
    /// Run the plain loops alone.
    #[arg(long)]
    plain: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// One event a request.
    HttpHttp,
    /// From topic to topic.
    KafkaKafka,
    /// From a session of QoS 1 to a topic.
    MqttKafka,
    /// From queue to queue.
    AmqpAmqp,
    /// From a queue to a topic.
    AmqpKafka,
    /// From a topic to a queue.
    KafkaAmqp,
    /// From a topic of Kafka to one of MQTT.
    KafkaMqtt,
    /// From requests to a topic, without and with a store between.
    Store,
    /// Memory at rest.
    Idle,
    /// One after the other.
    All,
}

fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let plan = Plan {
        events: args.events,
        rounds: args.rounds.max(1),
        weft: weft(&args)?,
    };
    let wanted = |scenario| args.scenario == scenario || args.scenario == Scenario::All;
    if wanted(Scenario::HttpHttp) {
        tool::say(&http::run(&plan)?);
    }
    if wanted(Scenario::KafkaKafka) {
        tool::say(&kafka::run(&plan)?);
    }
    if wanted(Scenario::MqttKafka) {
        tool::say(&mqtt::to_kafka(&plan)?);
    }
    if wanted(Scenario::AmqpAmqp) {
        tool::say(&amqp::to_amqp(&plan)?);
    }
    if wanted(Scenario::AmqpKafka) {
        tool::say(&amqp::to_kafka(&plan)?);
    }
    if wanted(Scenario::KafkaAmqp) {
        tool::say(&amqp::from_kafka(&plan)?);
    }
    if wanted(Scenario::KafkaMqtt) {
        tool::say(&mqtt::from_kafka(&plan)?);
    }
    if wanted(Scenario::Store) && plan.weft.is_some() {
        tool::say(&store::run(&plan)?);
    }
    if wanted(Scenario::Idle) && plan.weft.is_some() {
        tool::say(&idle::run(&plan)?);
    }
    Ok(())
}

fn weft(args: &Args) -> Result<Option<PathBuf>, Failure> {
    if args.plain {
        return Ok(None);
    }
    let path = match &args.weft {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("weft"),
    };
    if !path.is_file() {
        let build = "cargo build --release --bin weft, or say --plain";
        return Err(format!("{} is not there: {build}", path.display()).into());
    }
    Ok(Some(path.canonicalize()?))
}
