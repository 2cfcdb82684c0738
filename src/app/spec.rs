//! From the configuration's model to what a topology is built from.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use weft_api::config::{HumanDuration, Node, Value};

use super::shared;
use crate::config::keys::{self, OnMalformed, OnRejected};
use crate::config::{Destination, Endpoint, Ingress, Model, Plan, Route, Unmatched};
use crate::routing::table::Addition;
use crate::topology::breaker::BreakerSettings;
use crate::topology::dedupe::DedupeSettings;
use crate::topology::rate::Rate;
use crate::topology::retry_budget::RetryBudget;
use crate::topology::settings::{Batching, Bounds, Retry, Settings};
use crate::topology::spec::{
    DestinationSpec, EndpointSpec, IngressSpec, LogSpec, MalformedSpec, PlanSpec, RouteSpec, Spec, StoreSpec,
    UnmatchedSpec, WhenFull,
};

/// Keys of an ingress that admission reads, not its connector: changing them reopens nothing.
const ADMISSION_KEYS: [&str; 5] = [
    "dead_letter",
    "on_rejected",
    "on_malformed",
    "unmatched",
    "retain",
];

/// Keys of a destination that its log reads, not its connector.
const LOG_KEYS: [&str; 1] = ["store"];

/// Everything that runs, as the file has it.
pub(super) fn of(model: &Model) -> Spec {
    // What every connector is built with beside its own section.
    let common = format!(
        "{}/{}/{}",
        model.node.name, model.node.cluster, model.limits.event
    );
    let ingresses = model.ingress.iter().map(|ingress| of_ingress(ingress, &common));
    let destinations = model
        .destinations
        .iter()
        .map(|destination| of_destination(destination, model.store.as_ref(), &common));
    Spec {
        budget: model.limits.events(),
        ingresses: ingresses.chain(shared::readers(model, &common)).collect(),
        destinations: destinations.chain(shared::writers(model, &common)).collect(),
        routes: model.routes.iter().map(of_route).collect(),
        store: model.store.as_ref().map(of_store),
    }
}

fn of_ingress(ingress: &Ingress, common: &str) -> IngressSpec {
    let malformed = match (ingress.on_malformed, &ingress.dead_letter) {
        (OnMalformed::DeadLetter, Some(name)) => MalformedSpec::DeadLetter(Arc::clone(name)),
        (OnMalformed::DeadLetter | OnMalformed::Reject, _) => MalformedSpec::Reject,
        (OnMalformed::Drop, _) => MalformedSpec::Drop,
    };
    IngressSpec {
        name: Arc::clone(&ingress.name),
        builder: Arc::clone(&ingress.builder),
        fingerprint: fingerprint(common, &ingress.effective, &ADMISSION_KEYS),
        drop_rejected: ingress.on_rejected == OnRejected::Drop,
        unmatched: match &ingress.unmatched {
            Unmatched::Discard => UnmatchedSpec::Discard,
            Unmatched::Reject => UnmatchedSpec::Reject,
            Unmatched::To(name) => UnmatchedSpec::To(Arc::clone(name)),
        },
        malformed,
        log: None,
        retain: ingress.retain,
    }
}

fn of_destination(
    destination: &Destination,
    store: Option<&keys::StoreKeys>,
    common: &str,
) -> DestinationSpec {
    let log = |log: &Option<keys::LogKeys>| Some(of_log(log.as_ref()?, store?));
    match destination {
        Destination::Endpoint(endpoint) => DestinationSpec::Endpoint(EndpointSpec {
            name: Arc::clone(&endpoint.name),
            builder: Arc::clone(&endpoint.builder),
            fingerprint: fingerprint(common, &endpoint.effective, &LOG_KEYS),
            settings: settings(endpoint),
            store: log(&endpoint.store),
            shared: shared::name(destination),
        }),
        Destination::Group(group) => DestinationSpec::Group {
            name: Arc::clone(&group.name),
            plan: of_plan(&group.plan),
            store: log(&group.store),
            shared: shared::name(destination),
        },
    }
}

fn of_store(store: &keys::StoreKeys) -> StoreSpec {
    StoreSpec {
        path: PathBuf::from(&store.path),
        max_bytes: store.max_bytes.get(),
        keep_free: store.keep_free.get(),
        sync: match store.sync {
            keys::SyncKeys::Always => weft_store::Sync::Always,
            keys::SyncKeys::Interval(every) => weft_store::Sync::Interval(every.get()),
        },
        dead_letters: LogSpec {
            max_bytes: store.dead_letters.max_bytes.get(),
            max_age: store.dead_letters.max_age.map(HumanDuration::get),
            retain: None,
            when_full: WhenFull::Block,
        },
    }
}

fn of_log(log: &keys::LogKeys, store: &keys::StoreKeys) -> LogSpec {
    LogSpec {
        max_bytes: log.max_bytes.unwrap_or(store.max_bytes).get(),
        max_age: log.max_age.map(HumanDuration::get),
        retain: log.retain.map(HumanDuration::get),
        when_full: match log.when_full {
            keys::WhenFullWord::Block => WhenFull::Block,
            keys::WhenFullWord::Move => WhenFull::Move,
        },
    }
}

fn settings(endpoint: &Endpoint) -> Settings {
    Settings {
        order_by: endpoint.order_by.clone(),
        retry: Retry {
            attempts: endpoint.retry.attempts.get(),
            initial: endpoint.retry.initial.get(),
            max: endpoint.retry.max.get(),
            unavailable: endpoint.retry.unavailable.bound(),
            budget: match endpoint.retry.budget {
                keys::Budget::Off => None,
                keys::Budget::On { share, floor } => Some(RetryBudget {
                    share,
                    floor: rate(floor),
                }),
            },
        },
        queue: Bounds {
            events: u64::from(endpoint.queue.events.get()),
            bytes: endpoint.queue.bytes.get(),
        },
        batch: Batching {
            events: endpoint.batch.events.map(std::num::NonZeroU32::get),
            bytes: endpoint.batch.bytes.map(weft_api::config::ByteSize::get),
            linger: endpoint.batch.linger.get(),
        },
        breaker: BreakerSettings {
            failures: endpoint.breaker.failures.get(),
            initial: endpoint.breaker.initial.get(),
            max: endpoint.breaker.max.get(),
        },
        rate: endpoint.rate.map(rate),
        dedupe: endpoint.dedupe.as_ref().map(|dedupe| DedupeSettings {
            by: dedupe.by.iter().map(|name| name.as_str().into()).collect(),
            window: dedupe.window.get(),
            max_entries: dedupe.max_entries.get(),
        }),
        shared_log: None,
    }
}

fn rate(rate: keys::Rate) -> Rate {
    let steady = Rate::steady(rate.events.get(), rate.per.get());
    Rate {
        burst: rate.burst.map_or(steady.burst, std::num::NonZeroU32::get),
        ..steady
    }
}

fn of_route(route: &Route) -> RouteSpec {
    let add = route.add.iter().map(|addition| Addition {
        name: addition.name.clone(),
        kind: addition.kind,
        value: addition.value.clone(),
    });
    RouteSpec {
        name: Arc::clone(&route.name),
        from: route.from.clone(),
        predicate: Arc::new(route.predicate.clone()),
        to: of_plan(&route.to),
        add: add.collect(),
        dead_letter: route.dead_letter.clone(),
        max_age: route.max_age,
    }
}

fn of_plan(plan: &Plan) -> PlanSpec {
    match plan {
        Plan::To(target) => PlanSpec::To(Arc::clone(&target.name)),
        Plan::Multicast(members) => PlanSpec::All(members.iter().map(of_plan).collect()),
        Plan::Anycast(any) => PlanSpec::Any {
            members: any
                .members
                .iter()
                .map(|member| (of_plan(&member.plan), member.weight))
                .collect(),
            policy: any.policy,
            wait: any.wait,
            key: any.key.clone(),
        },
        Plan::Fallback(first) => PlanSpec::First {
            members: first.members.iter().map(of_plan).collect(),
            on: first.on,
        },
    }
}

/// Everything below a node as text, but for some of its own keys: equal texts mean equal settings. Never shown, since
/// secrets stand in it.
pub(super) fn fingerprint(common: &str, node: &Node, without: &[&str]) -> String {
    let mut text = common.to_owned();
    match &node.value {
        Value::Map(entries) => {
            let mut kept: Vec<_> = entries
                .iter()
                .filter(|(key, _)| !without.contains(&&*key.name))
                .collect();
            kept.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            for (key, value) in kept {
                let _ = write!(text, "\n{}:", key.name);
                write_value(&mut text, value);
            }
        }
        _ => write_value(&mut text, node),
    }
    text
}

fn write_value(text: &mut String, node: &Node) {
    // Writing to a String cannot fail.
    let _ = match &node.value {
        Value::Null => write!(text, "~"),
        Value::Bool(value) => write!(text, "{value}"),
        Value::Int(value) => write!(text, "{value}"),
        Value::Float(value) => write!(text, "f{:x}", value.to_bits()),
        Value::Text(value) => write!(text, "{value:?}"),
        Value::List(values) => {
            text.push('[');
            for value in values {
                write_value(text, value);
                text.push(',');
            }
            write!(text, "]")
        }
        Value::Map(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            text.push('{');
            for (key, value) in sorted {
                let _ = write!(text, "{}:", key.name);
                write_value(text, value);
                text.push(',');
            }
            write!(text, "}}")
        }
    };
}
