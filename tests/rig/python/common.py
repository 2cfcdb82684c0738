"""What the scripts share: events of every kind, and one way to print an event.

An event is printed as one JSON object on one line:
  attributes  every attribute but the data, as strings, `time` in RFC 3339; the SDK adds `partitionkey` from Kafka's key
  json | text | base64   the data as the SDK decoded it; none of them where there is no data
  raw         the bytes of the message's value or body, in base64
"""

import base64
import json
from datetime import datetime, timedelta, timezone

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

FORMAT = JSONFormat()
KINDS = ["json", "text", "binary", "none", "empty", "large", "huge", "odd"]
BINARY = bytes([0, 159, 146, 150, 255, 10, 13])
ODD = "größe ✓ \U0001f600 e\u0301 \u202e\r\n\t{}[]\\\"\0"


def event(index, mode, data, key=None):
    """One event with an extension of each type of the CloudEvents type system and awkward characters in its subject."""
    attributes = {
        "id": f"rig-{index}",
        "source": "/weft/rig?of=python",
        "type": "com.example.rig.made",
        "specversion": "1.0",
        "subject": f'größe ✓ 100% "{index}"',
        "time": datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc) + timedelta(seconds=index),
        "dataschema": "https://schemas.example.com/rig.json#v1",
        "astring": "a, b; c=d",
        "anint": index - 2,
        "abool": index % 2 == 0,
        "auri": "https://example.com/a%20b?c=d#e",
        "aref": "../other",
        "atime": "2026-01-02T03:04:05+02:00",
        "abytes": base64.b64encode(BINARY).decode(),
    }
    if mode == "binary":
        # The SDK writes str(value), which is not the canonical form of a boolean.
        attributes["abool"] = "true" if attributes["abool"] else "false"
    if key is not None:
        attributes["partitionkey"] = key
    content_type, value = {
        "json": ("application/json", {"n": index, "deep": {"list": [1, 2.5, None, True], "text": "ünï"}}),
        "text": ("text/plain; charset=utf-8", f"line {index}\nünï ✓"),
        "binary": ("application/octet-stream", BINARY),
        "none": (None, None),
        "empty": ("text/plain", ""),
        "large": ("application/octet-stream", bytes(range(256)) * 256),
        "huge": ("application/octet-stream", bytes(range(255, -1, -1)) * 2048),
        "odd": ("application/xml", ODD),
    }[data]
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return CloudEvent(attributes, value)


def kinds(data):
    """The kinds of data in turn: the usual ones, those at the edges (0 bytes, 64 KiB), every one, or one of them only."""
    groups = {"all": ["json", "text", "binary", "none"], "edges": ["empty", "large"], "every": KINDS}
    return groups.get(data, [data])


def describe(event, raw, **more):
    """Prints one event, as said at the top; `more` adds fields."""
    attributes = {name: text(value) for name, value in event.get_attributes().items() if value is not None}
    line = {"attributes": attributes, "raw": base64.b64encode(raw or b"").decode(), **more}
    data = event.get_data()
    if isinstance(data, (bytes, bytearray)):
        line["base64"] = base64.b64encode(data).decode()
    elif isinstance(data, str):
        line["text"] = data
    elif data is not None:
        line["json"] = data
    print(json.dumps(line, ensure_ascii=False), flush=True)


def text(value):
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
