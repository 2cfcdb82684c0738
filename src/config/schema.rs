//! The JSON Schema of the file (draft 2020-12), for editors.
//!
//! Owns only what no serde type says: sections of names, connectors' sections with their connections, plans. All
//! else comes from the types that read the file, descriptions included.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use weft_api::connector::Connector;

use super::keys::{
    Admin, AnycastKeys, DestinationKeys, FallbackKeys, IngressKeys, Keep, Limits, NodeKeys, Observe,
    RouteKeys, SharedKeys, StoreKeys, Unmatched,
};
use super::model::Removed;
use super::read::Registry;

/// Names that a writer may give.
const NAME: &str = "^([a-z0-9][a-z0-9-]{0,62}|x-.*)$";

/// The schema of a file for these connectors.
#[must_use]
pub fn schema(registry: Registry<'_>) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let ingress = entry::<IngressKeys>(&mut generator, registry, |connector, generator| {
        connector.ingress_schema(generator)
    });
    let endpoint = entry::<DestinationKeys>(&mut generator, registry, |connector, generator| {
        connector.egress_schema(generator)
    });
    let mut route = properties::<RouteKeys>(&mut generator);
    let without_to = route.clone();
    route.insert(
        "to".into(),
        json!({ "$ref": "#/$defs/Plan", "description": "Where matching events go." }),
    );
    let mut top = Map::new();
    let described = |schema: Value, text: &str| {
        let mut schema = schema;
        schema["description"] = text.into();
        schema
    };
    top.insert("node".into(), reference::<NodeKeys>(&mut generator));
    top.insert("observe".into(), reference::<Observe>(&mut generator));
    top.insert("admin".into(), reference::<Admin>(&mut generator));
    top.insert("limits".into(), reference::<Limits>(&mut generator));
    top.insert("store".into(), reference::<StoreKeys>(&mut generator));
    top.insert(
        "connections".into(),
        described(
            named(connection(&mut generator, registry)),
            "Addresses, TLS and credentials, referred to by name.",
        ),
    );
    top.insert(
        "defaults".into(),
        object(
            [
                (
                    "ingress".to_owned(),
                    object(properties::<IngressKeys>(&mut generator)),
                ),
                (
                    "destination".to_owned(),
                    object(properties::<DestinationKeys>(&mut generator)),
                ),
                ("route".to_owned(), object(without_to)),
            ]
            .into_iter()
            .collect(),
        ),
    );
    let mut route = object(route);
    route["required"] = json!(["to"]);
    top.insert(
        "ingress".into(),
        described(named(ingress), "Where events come in."),
    );
    let destination = json!({ "anyOf": [endpoint, { "$ref": "#/$defs/NamedGroup" }] });
    top.insert(
        "destinations".into(),
        described(named(destination), "Where events can go."),
    );
    top.insert(
        "routes".into(),
        described(named(route), "Which events go where; every match applies."),
    );
    top.insert("unmatched".into(), reference::<Unmatched>(&mut generator));
    top.insert("removed".into(), named(reference::<Removed>(&mut generator)));
    let inline = group(&mut generator, &Map::new());
    let store = described(
        reference::<Keep>(&mut generator),
        "Whether events are kept until a member has them.",
    );
    let of_named = [("store".to_owned(), store)].into_iter().collect();
    let group = group(&mut generator, &of_named);
    let shared = shared_store(&mut generator, registry);
    let mut file = object(top);
    let mut definitions = generator.take_definitions(true);
    if let Some(shared) = shared {
        definitions.insert(SharedKeys::schema_name().into_owned(), shared);
    }
    definitions.insert("Plan".into(), plan());
    definitions.insert("Group".into(), inline);
    definitions.insert("NamedGroup".into(), group);
    file["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    file["title"] = "Weft".into();
    file["required"] = json!(["ingress"]);
    file["$defs"] = Value::Object(definitions);
    allow_private(&mut file);
    file
}

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn properties<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    match T::json_schema(generator)
        .to_value()
        .get_mut("properties")
        .map(Value::take)
    {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    }
}

fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A mapping of names to this.
fn named(schema: Value) -> Value {
    json!({ "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": schema })
}

/// The keys of an entry and its connector's section.
fn entry<T: JsonSchema>(
    generator: &mut SchemaGenerator,
    registry: Registry<'_>,
    section: impl Fn(&dyn Connector, &mut SchemaGenerator) -> Option<schemars::Schema>,
) -> Value {
    let mut all = properties::<T>(generator);
    let mut kinds = Vec::new();
    for connector in registry {
        let Some(schema) = section(*connector, generator) else {
            continue;
        };
        let schema = connected(*connector, resolved(generator, schema.to_value()));
        all.insert(connector.kind().to_owned(), schema);
        kinds.push(json!({ "required": [connector.kind()] }));
    }
    let mut entry = object(all);
    entry["oneOf"] = kinds.into();
    entry
}

/// A log in Kafka: those keys of the connector's two sections that stand there.
fn shared_store(generator: &mut SchemaGenerator, registry: Registry<'_>) -> Option<Value> {
    let connector = registry
        .iter()
        .find(|connector| connector.kind() == SharedKeys::KIND)?;
    let mut all = Map::new();
    for section in [
        connector.ingress_schema(generator),
        connector.egress_schema(generator),
    ] {
        let schema = resolved(generator, section?.to_value());
        let Some(Value::Object(properties)) = schema.get("properties") else {
            continue;
        };
        let known = |key: &String| SharedKeys::KEYS.contains(&key.as_str());
        all.extend(properties.clone().into_iter().filter(|(key, _)| known(key)));
    }
    let mut schema = object(all);
    schema["description"] = "A topic that exists, and how to reach it.".into();
    schema["required"] = json!(["topic", "brokers"]);
    Some(connected(*connector, schema))
}

/// The schema itself in place of a reference to it.
fn resolved(generator: &SchemaGenerator, schema: Value) -> Value {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.strip_prefix("#/$defs/"));
    name.and_then(|name| generator.definitions().get(name))
        .cloned()
        .unwrap_or(schema)
}

/// With `connection:`, what the connection gives is required no more.
fn connected(connector: &dyn Connector, mut schema: Value) -> Value {
    let keys = connector.connection_keys();
    if keys.is_empty() {
        return schema;
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|key| key.as_str().is_none_or(|key| !keys.contains(&key)));
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let connection =
            json!({ "type": "string", "description": "The name of an entry of `connections:`." });
        properties.insert("connection".into(), connection);
    }
    schema
}

/// One connection: the keys that its connector shares, TLS and credentials.
fn connection(generator: &mut SchemaGenerator, registry: Registry<'_>) -> Value {
    let mut all = Map::new();
    let mut kinds = Vec::new();
    for connector in registry
        .iter()
        .filter(|connector| !connector.connection_keys().is_empty())
    {
        let section = connector
            .egress_schema(generator)
            .or_else(|| connector.ingress_schema(generator));
        let section = section
            .map(|schema| resolved(generator, schema.to_value()))
            .unwrap_or_default();
        let of = |key: &str| {
            section
                .get("properties")
                .and_then(|properties| properties.get(key))
                .cloned()
        };
        let keys = connector
            .connection_keys()
            .iter()
            .map(|key| ((*key).to_owned(), of(key).unwrap_or(json!({}))));
        all.insert(connector.kind().to_owned(), object(keys.collect()));
        for shared in ["tls", "auth"] {
            if let Some(schema) = of(shared) {
                all.entry(shared).or_insert(schema);
            }
        }
        kinds.push(json!({ "required": [connector.kind()] }));
    }
    let mut connection = object(all);
    if !kinds.is_empty() {
        connection["oneOf"] = kinds.into();
    }
    connection
}

fn plan() -> Value {
    json!({
        "description": "Where events go: a destination's name, a list of plans (all of them), or a group.",
        "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "$ref": "#/$defs/Plan" }, "minItems": 1 },
            { "$ref": "#/$defs/Group" },
        ],
    })
}

/// A group; `more`: what it has where it has a name, unless it is a multicast.
fn group(generator: &mut SchemaGenerator, more: &Map<String, Value>) -> Value {
    let members = json!({ "type": "array", "items": { "$ref": "#/$defs/Plan" }, "minItems": 1 });
    let weighted = json!({
        "type": "array",
        "minItems": 1,
        "items": { "anyOf": [
            { "$ref": "#/$defs/Plan" },
            {
                "type": "object",
                "properties": {
                    "to": { "$ref": "#/$defs/Plan" },
                    "weight": { "type": "integer", "minimum": 1, "maximum": 1000 },
                },
                "required": ["to"],
                "additionalProperties": false,
            },
        ] },
    });
    let of = |key: &str, about: &str, members: &Value, rest: Map<String, Value>| {
        let mut all = Map::new();
        all.insert(key.to_owned(), members.clone());
        all[key]["description"] = about.into();
        all.extend(rest);
        let mut schema = object(all);
        schema["required"] = json!([key]);
        schema
    };
    let mut anycast = properties::<AnycastKeys>(generator);
    anycast.extend(more.clone());
    let mut fallback = properties::<FallbackKeys>(generator);
    fallback.extend(more.clone());
    json!({ "anyOf": [
        of("anycast", "One of these.", &weighted, anycast),
        of("fallback", "The first of these that takes the event.", &members, fallback),
        of("multicast", "All of these.", &members, Map::new()),
    ] })
}

/// `x-` keys may stand wherever keys are checked.
fn allow_private(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("additionalProperties") == Some(&Value::Bool(false)) {
                object
                    .entry("patternProperties")
                    .or_insert_with(|| json!({ "^x-": true }));
            }
            object.values_mut().for_each(allow_private);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_private),
        _ => {}
    }
}
