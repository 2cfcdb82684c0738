"""What the AMQP scripts share: the connection, the way between the SDK's messages and Proton's, values with their types, and one way
to print a message.

A message is printed as common.py prints an event, or without `attributes` where it is no CloudEvent, and with
  section     data, value or sequence: what the body is
  body        the body, typed (below), where it is no CloudEvent
  header      durable, priority, ttl (ms), first_acquirer, delivery_count
  properties  those that are set: message_id and correlation_id typed, the rest as it is, times in ms
  application, annotations   lists of [name, TYPE, VALUE]
A typed value is [TYPE, VALUE] with AMQP's name of the type; VALUE is JSON, binary in base64, a map a list of pairs.
On a command line it is TYPE:VALUE, with binary in hex; without a known TYPE it is a string.
"""

import base64
import json
import os
import uuid

import proton
from cloudevents.core.bindings import amqp
from proton import Message, SSLDomain
from proton.reactor import Container, LinkOption

from common import FORMAT, describe

PREFIXES = ("cloudEvents_", "cloudEvents:")
HEARTBEAT_S = 5

NAMES = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    bytes: "binary",
    int: "long",
    float: "double",
    list: "list",
    dict: "map",
    uuid.UUID: "uuid",
    proton.int32: "int",
    proton.float32: "float",
}
PARSERS = {
    "string": str,
    "symbol": proton.symbol,
    "binary": bytes.fromhex,
    "boolean": lambda text: text == "true",
    "uuid": uuid.UUID,
    "long": int,
    "double": float,
    "int": lambda text: proton.int32(int(text)),
    "float": lambda text: proton.float32(float(text)),
    "timestamp": lambda text: proton.timestamp(int(text)),
    "null": lambda _text: None,
}


def number(made):
    return lambda text: made(int(text))


PARSERS |= {name: number(getattr(proton, name)) for name in ["ubyte", "byte", "ushort", "short", "uint", "ulong"]}


class Terminus(LinkOption):
    """Asks for a queue or a topic."""

    def __init__(self, capability, at_source):
        self.capability, self.at_source = capability, at_source

    def apply(self, link):
        terminus = link.source if self.at_source else link.target
        terminus.capabilities.put_object(proton.symbol(self.capability))


def add_arguments(parser):
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--capability", choices=["queue", "topic"])
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--mechanism", help="of SASL; else PLAIN with a user, and ANONYMOUS without")
    parser.add_argument("--ca", help="the authority's certificate; with it the connection is TLS")
    parser.add_argument("--cert", help="the client's certificate")
    parser.add_argument("--cert-key")
    parser.add_argument("--container-id")


def container(handler, args):
    made = Container(handler)
    made.container_id = args.container_id or f"rig-{os.getpid()}-{os.urandom(4).hex()}"
    return made


def connect(made, args):
    """A connection that does not come back by itself."""
    how = {"user": args.user, "password": args.password, "allow_insecure_mechs": True, "heartbeat": HEARTBEAT_S}
    how["allowed_mechs"] = args.mechanism or ("PLAIN" if args.user else "ANONYMOUS")
    host, scheme = "127.0.0.1", "amqp"
    if args.ca is not None:
        # Proton compares the certificate with a name, not with an address.
        host, scheme = "localhost", "amqps"
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(args.ca)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        if args.cert is not None:
            domain.set_credentials(args.cert, args.cert_key, None)
        how["ssl_domain"] = domain
    return made.connect(f"{scheme}://{host}:{args.port}", reconnect=False, **how)


def options(args, at_source):
    return [Terminus(args.capability, at_source)] if args.capability else []


def typed(value):
    """A value as it is printed."""
    if isinstance(value, memoryview):
        value = bytes(value)
    name = NAMES.get(type(value), type(value).__name__)
    if name == "binary":
        return [name, base64.b64encode(value).decode()]
    if name == "list":
        return [name, [typed(item) for item in value]]
    if name == "map":
        return [name, [[typed(key), typed(item)] for key, item in value.items()]]
    if name == "uuid":
        return [name, str(value)]
    if isinstance(value, (bool, int, float, str, type(None))):
        return [name, value]
    return [name, repr(value)]


def parse(argument):
    """A value of a command line."""
    name, colon, text = argument.partition(":")
    return PARSERS[name](text) if colon and name in PARSERS else argument


def pairs(arguments):
    """NAME=TYPE:VALUE."""
    found = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        found[name] = parse(value)
    return found


def to_message(event, mode, prefix, as_data):
    """An event as the SDK writes it. With the other prefix, or as an amqp-value, where that is asked for."""
    written = (amqp.to_binary if mode == "binary" else amqp.to_structured)(event, FORMAT)
    application = {name.replace(PREFIXES[0], prefix, 1): value for name, value in written.application_properties.items()}
    made = Message(body=written.application_data, inferred=as_data, properties=application or None)
    content_type = written.properties.get("content-type")
    if content_type is not None:
        made.content_type = content_type
    return made


def event_of(message):
    """The event in a message, or nothing."""
    application = message.properties or {}
    content_type = content_type_of(message)
    structured = (content_type or "").lower().startswith("application/cloudevents")
    if not structured and not any(prefix + "specversion" in application for prefix in PREFIXES):
        return None
    properties = {} if content_type is None else {"content-type": content_type}
    return amqp.from_amqp(amqp.AMQPMessage(properties, application, raw_of(message)), FORMAT)


def content_type_of(message):
    # Proton makes the text `None` of a null.
    return None if message.content_type in (None, "", "None") else str(message.content_type)


def raw_of(message):
    body = message.body
    return body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, (bytes, memoryview)) else b""


def show(message, **more):
    """Prints a message, as said at the top."""
    names = ["message_id", "user_id", "to", "subject", "reply_to", "correlation_id", "content_type", "content_encoding"]
    names += ["expiry_time", "creation_time", "group_id", "group_sequence", "reply_to_group_id"]
    properties = {}
    for name in names:
        # Proton's text for a null, and its zero for a missing number or time.
        value = getattr(message, {"to": "address", "message_id": "id"}.get(name, name))
        if value is None or value in ("", "None") or value == b"" or (value == 0 and name not in ("message_id", "correlation_id")):
            continue
        if name in ("message_id", "correlation_id"):
            # An id has one type of number, and Proton forgets which.
            value = ["ulong", value] if isinstance(value, int) else typed(value)
        elif name in ("expiry_time", "creation_time"):
            value = round(value * 1000)
        elif isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        properties[name] = value
    line = {
        "section": "value" if not message.inferred else "sequence" if isinstance(message.body, list) else "data",
        "header": {
            "durable": message.durable,
            "priority": message.priority,
            "ttl": round(message.ttl * 1000),
            "first_acquirer": message.first_acquirer,
            "delivery_count": message.delivery_count,
        },
        "properties": properties,
        "application": [[name, *typed(value)] for name, value in (message.properties or {}).items()],
        "annotations": [[name, *typed(value)] for name, value in (message.annotations or {}).items()],
        **more,
    }
    event = event_of(message)
    if event is not None:
        describe(event, raw_of(message), **line)
        return
    line = {"raw": base64.b64encode(raw_of(message)).decode(), "body": typed(message.body), **line}
    print(json.dumps(line, ensure_ascii=False), flush=True)


class Failures:
    """Ends the script where the peer or the network says no; a part of every handler."""

    def on_transport_error(self, event):
        raise SystemExit(f"transport: {event.transport.condition}")

    def on_connection_error(self, event):
        raise SystemExit(f"connection: {event.connection.remote_condition}")

    def on_session_error(self, event):
        raise SystemExit(f"session: {event.session.remote_condition}")

    def on_link_error(self, event):
        raise SystemExit(f"link: {event.link.remote_condition}")
