//! What of an event must be equal at both ends: the attributes and the data as the SDK decoded it. What a line says
//! beside that (`raw`, a topic, headers) is the transport's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// By the event's id.
pub(crate) type Events = BTreeMap<String, Value>;

/// Every line is an event.
#[track_caller]
pub(crate) fn by_id<'a>(lines: impl IntoIterator<Item = &'a Value>) -> Events {
    let mut events = Events::new();
    for line in lines {
        let twice = events.insert(id(line).to_owned(), essence(line));
        assert!(twice.is_none(), "{} came twice", id(line));
    }
    events
}

/// The event's id.
#[track_caller]
pub(crate) fn id(line: &Value) -> &str {
    line["attributes"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no event: {line}"))
}

fn essence(line: &Value) -> Value {
    let mut attributes = line["attributes"].clone();
    // The SDK makes it of a record's key, and a record's key of it.
    attributes.as_object_mut().unwrap().remove("partitionkey");
    let data = ["json", "text", "base64"].into_iter().find_map(|kind| {
        let value = line.get(kind)?;
        // No body and an empty one are the same in HTTP and MQTT, as are null and empty text to the SDK.
        (value != "").then(|| json!({ kind: value }))
    });
    json!({ "attributes": attributes, "data": data })
}

/// Panics unless the same events came, and each as it was sent.
#[track_caller]
pub(crate) fn assert_equal(sent: &Events, got: &Events, what: &str) {
    for (id, event) in sent {
        let Some(came) = got.get(id) else {
            panic!("{what}: event {id} did not come");
        };
        assert_eq!(
            came["attributes"], event["attributes"],
            "{what}: attributes of {id}"
        );
        // Not printed: half a megabyte helps nobody.
        assert!(came["data"] == event["data"], "{what}: the data of {id} differs");
    }
    assert_eq!(got.len(), sent.len(), "{what}: events that nobody sent");
}
