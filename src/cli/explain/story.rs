//! What becomes of one event under a configuration: pure, from the same predicates and plans that the router runs.

use serde::Serialize;
use weft_api::event::{Event, json};

use crate::config::{Addition, Destination, Ingress, Model, Plan, Route, Unmatched};
use crate::routing::filter::Explanation;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    /// The event, as CloudEvents JSON.
    pub(super) event: Box<serde_json::value::RawValue>,
    /// The ingress that it came in by, where one was named.
    pub(super) ingress: Option<String>,
    /// In the order of the file.
    pub(super) routes: Vec<RouteStory>,
    /// What it is owed to; each destination or group once.
    pub(super) owed: Vec<Owed>,
    /// What happens since no route matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unmatched: Option<String>,
}

/// One route.
#[derive(Debug, Serialize)]
pub(super) struct RouteStory {
    pub(super) route: String,
    /// Whether it applies: it listens to the ingress and all its filters match.
    pub(super) matched: bool,
    /// The ingresses that it listens to, where the event's is not among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listens_to: Option<Vec<String>>,
    /// Its filters, part by part.
    pub(super) filters: Explanation,
    /// Its plan.
    pub(super) to: String,
    /// What it adds, once it matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) adds: Vec<Added>,
}

/// One attribute that a route adds.
#[derive(Debug, Serialize)]
pub(super) struct Added {
    pub(super) attribute: String,
    /// Its value; absent where the event has the attribute already, or its template fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why_not: Option<String>,
}

/// One obligation.
#[derive(Debug, Serialize)]
pub(super) struct Owed {
    /// The destination, the group, or a plan without a name.
    pub(super) to: String,
    /// Its connector and address; for a group its plan.
    pub(super) at: String,
    /// The routes that ask for it.
    pub(super) routes: Vec<String>,
    /// Where it goes if it will never be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter: Option<String>,
}

/// Asks every route about the event.
pub(super) fn tell(model: &Model, ingress: Option<&Ingress>, event: &Event) -> Story {
    let routes: Vec<RouteStory> = model
        .routes
        .iter()
        .map(|route| ask(route, ingress, event))
        .collect();
    let mut owed: Vec<Owed> = Vec::new();
    for (route, _) in model
        .routes
        .iter()
        .zip(&routes)
        .filter(|(_, story)| story.matched)
    {
        for plan in parts(model, &route.to) {
            let to = plan.to_string();
            // Two routes that reach the same destination make one copy; the first one's dead letter applies. Plans
            // without a name are never merged.
            match owed
                .iter_mut()
                .find(|known| known.to == to && matches!(plan, Plan::To(_)))
            {
                Some(known) => known.routes.push(route.name.to_string()),
                None => owed.push(Owed {
                    at: place(model, plan),
                    to,
                    routes: vec![route.name.to_string()],
                    dead_letter: route.dead_letter.as_ref().map(ToString::to_string),
                }),
            }
        }
    }
    let none = !routes.iter().any(|route| route.matched);
    let unmatched = ingress.map_or(&model.unmatched, |ingress| &ingress.unmatched);
    Story {
        event: encoded(event),
        ingress: ingress.map(|ingress| ingress.name.to_string()),
        unmatched: none.then(|| said(unmatched)),
        routes,
        owed,
    }
}

fn ask(route: &Route, ingress: Option<&Ingress>, event: &Event) -> RouteStory {
    let deaf = match (&route.from, ingress) {
        (Some(from), Some(ingress)) if !from.contains(&ingress.name) => Some(from),
        _ => None,
    };
    let filters = route.predicate.explain(event);
    let matched = deaf.is_none() && filters.matched();
    RouteStory {
        route: route.name.to_string(),
        matched,
        listens_to: deaf.map(|from| from.iter().map(ToString::to_string).collect()),
        filters,
        to: route.to.to_string(),
        adds: if matched {
            route.add.iter().map(|addition| added(addition, event)).collect()
        } else {
            Vec::new()
        },
    }
}

fn added(addition: &Addition, event: &Event) -> Added {
    let attribute = addition.name.to_string();
    if event.attributes().any(|(name, _)| *name == *addition.name) {
        return Added {
            attribute,
            value: None,
            why_not: Some("the event has it already".to_owned()),
        };
    }
    let mut text = String::new();
    match addition.value.render(event, &mut text) {
        Ok(()) => Added {
            attribute,
            value: Some(text),
            why_not: None,
        },
        Err(missing) => Added {
            attribute,
            value: None,
            why_not: Some(missing.to_string()),
        },
    }
}

/// A plan's obligations: its multicasts unfolded, those behind a group's name, too; each once.
fn parts<'a>(model: &'a Model, plan: &'a Plan) -> Vec<&'a Plan> {
    let mut parts: Vec<&Plan> = Vec::new();
    let mut open = vec![plan];
    while let Some(plan) = open.pop() {
        match plan {
            Plan::Multicast(plans) => open.extend(plans.iter().rev()),
            Plan::To(target) => match model.destination(&target.name) {
                Some(Destination::Group(group)) if matches!(group.plan, Plan::Multicast(_)) => {
                    open.push(&group.plan)
                }
                _ if parts.iter().any(|known| is(known, &target.name)) => {}
                _ => parts.push(plan),
            },
            Plan::Anycast(_) | Plan::Fallback(_) => parts.push(plan),
        }
    }
    parts
}

fn is(plan: &Plan, name: &str) -> bool {
    matches!(plan, Plan::To(target) if &*target.name == name)
}

fn place(model: &Model, plan: &Plan) -> String {
    let Plan::To(target) = plan else {
        return "a plan of this route".to_owned();
    };
    let (at, here, shared) = match model.destination(&target.name) {
        Some(Destination::Endpoint(endpoint)) => {
            let at = format!("{} {}", endpoint.kind, endpoint.builder.address());
            (at, endpoint.store.is_some(), endpoint.shared.is_some())
        }
        Some(Destination::Group(group)) => (
            group.plan.to_string(),
            group.store.is_some(),
            group.shared.is_some(),
        ),
        None => ("unknown".to_owned(), false, false),
    };
    match (here, shared) {
        (true, _) => format!("{at}, through its log"),
        (false, true) => format!("{at}, through its log in Kafka"),
        (false, false) => at,
    }
}

fn said(unmatched: &Unmatched) -> String {
    match unmatched {
        Unmatched::Discard => "discarded: accepted and counted".to_owned(),
        Unmatched::Reject => "rejected".to_owned(),
        Unmatched::To(name) => format!("sent to {name}"),
    }
}

fn encoded(event: &Event) -> Box<serde_json::value::RawValue> {
    let mut bytes = Vec::new();
    json::encode(event, &mut bytes);
    let text = String::from_utf8(bytes).expect("the encoder writes UTF-8");
    serde_json::value::RawValue::from_string(text).expect("the encoder writes JSON")
}
