"""What the MQTT scripts share: the connection, the CloudEvents binding (the SDK has none for MQTT), and one way to print a message.

A message is printed as common.py prints an event, or, where it is no CloudEvent, without `attributes` and with `text` if its
payload is UTF-8; and with
  topic, qos, retain, dup
  properties  of MQTT 5, where there are some: content_type, expiry, response_topic, correlation (base64), format, user (a list of pairs)
"""

import base64
import json
import os

import paho.mqtt.client as paho
from cloudevents.core.v1.event import CloudEvent
from dateutil.parser import isoparse
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from common import FORMAT, describe, text

STRUCTURED = "application/cloudevents"
KEEPALIVE_S = 5
SESSION_S = 3600
VERSIONS = {"3.1.1": paho.MQTTv311, "5": paho.MQTTv5}


def add_arguments(parser):
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", choices=VERSIONS, default="5")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--qos", type=int, choices=[0, 1, 2], default=1)
    parser.add_argument("--client-id", default="", help="with --session it names the session")
    parser.add_argument("--session", action="store_true", help="keeps the session for an hour after the end")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--ca", help="the authority's certificate; with it the connection is TLS")
    parser.add_argument("--cert", help="the client's certificate")
    parser.add_argument("--cert-key")
    parser.add_argument("--receive-maximum", type=int, help="of MQTT 5")


def client(args):
    """A client and the arguments for its `connect`."""
    is_5 = args.version == "5"
    name = args.client_id or f"rig-{os.getpid()}-{os.urandom(4).hex()}"
    clean = {} if is_5 else {"clean_session": not args.session}
    made = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=VERSIONS[args.version], manual_ack=True, **clean)
    if args.user is not None:
        made.username_pw_set(args.user, args.password)
    if args.ca is not None:
        made.tls_set(args.ca, args.cert, args.cert_key)
    how = {"host": "127.0.0.1", "port": args.port, "keepalive": KEEPALIVE_S}
    if is_5:
        wishes = Properties(PacketTypes.CONNECT)
        wishes.SessionExpiryInterval = SESSION_S if args.session else 0
        if args.receive_maximum is not None:
            wishes.ReceiveMaximum = args.receive_maximum
        how |= {"clean_start": not args.session, "properties": wishes}
    return made, how


def message(event, mode, is_5):
    """The payload of an event, its content type and its user properties."""
    if mode == "structured":
        return FORMAT.write(event), (FORMAT.get_content_type() if is_5 else None), []
    if not is_5:
        raise SystemExit("binary mode needs MQTT 5")
    attributes = event.get_attributes()
    pairs = [(name, text(value)) for name, value in attributes.items() if name != "datacontenttype"]
    content_type = attributes.get("datacontenttype")
    return FORMAT.write_data(event.get_data(), content_type), content_type, pairs


def event_of(payload, content_type, pairs):
    """The event in a message, or nothing."""
    if (content_type or "").lower().startswith(STRUCTURED):
        return FORMAT.read(None, payload)
    attributes = dict(pairs)
    if "specversion" in attributes:
        if "time" in attributes:
            attributes["time"] = isoparse(attributes["time"])
        if content_type is not None:
            attributes["datacontenttype"] = content_type
        return CloudEvent(attributes, FORMAT.read_data(payload, content_type) if payload else None)
    if content_type is None and payload.startswith(b"{") and b'"specversion"' in payload:
        # MQTT 3.1.1 has no place for the media type.
        return FORMAT.read(None, payload)
    return None


def show(payload, content_type, pairs, **more):
    """Prints a message, as said at the top."""
    event = event_of(payload, content_type, pairs)
    if event is not None:
        describe(event, payload, **more)
        return
    line = {"raw": base64.b64encode(payload).decode(), **more}
    try:
        line["text"] = payload.decode()
    except UnicodeDecodeError:
        pass
    print(json.dumps(line, ensure_ascii=False), flush=True)


def properties_of(found):
    """The properties of a PUBLISH as they are printed."""
    if found is None or found.isEmpty():
        return {}
    names = {
        "ContentType": "content_type",
        "MessageExpiryInterval": "expiry",
        "ResponseTopic": "response_topic",
        "CorrelationData": "correlation",
        "PayloadFormatIndicator": "format",
        "UserProperty": "user",
    }
    known = {ours: getattr(found, theirs) for theirs, ours in names.items() if hasattr(found, theirs)}
    if "correlation" in known:
        known["correlation"] = base64.b64encode(known["correlation"]).decode()
    if "user" in known:
        known["user"] = [list(pair) for pair in known["user"]]
    return {"properties": known}
