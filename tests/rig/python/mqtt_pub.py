"""Publishes CloudEvents, or plain payloads, to an MQTT topic, and prints each one as it reads its own message, after the
broker has confirmed it (QoS 0: after it was written). Fails where one is not confirmed, or refused by its reason code."""

import argparse
import queue

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from common import KINDS, event, kinds
from mqtt_common import add_arguments, client, message, properties_of, show

LIMIT_S = 60


def main():
    args = arguments()
    is_5 = args.version == "5"
    made, how = client(args)
    outcome, answers = {}, queue.SimpleQueue()
    made.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    made.on_publish = lambda _client, _data, number, reason, _properties: outcome.update({number: reason})
    made.connect(**how)
    made.loop_start()
    answer = answers.get(timeout=LIMIT_S)
    if answer.is_failure:
        raise SystemExit(f"not connected: {answer}")
    messages = [plain(args)] * args.count if args.mode == "plain" else list(events(args, is_5))
    sent = []
    for payload, content_type, pairs in messages:
        properties = publish_properties(args, content_type, pairs) if is_5 else None
        sent.append((made.publish(args.topic, payload, args.qos, args.retain, properties), properties))
    for (payload, content_type, pairs), (info, properties) in zip(messages, sent):
        info.wait_for_publish(LIMIT_S)
        if not info.is_published():
            raise SystemExit(f"not confirmed within {LIMIT_S} s")
        reason = outcome.get(info.mid)
        if reason is not None and reason.is_failure:
            raise SystemExit(f"refused: {reason}")
        more = {"topic": args.topic, "qos": args.qos, "retain": args.retain} | properties_of(properties)
        show(payload, content_type, pairs, **more)
    made.disconnect()
    made.loop_stop()


def events(args, is_5):
    data = kinds(args.data)
    for index in range(args.start, args.start + args.count):
        key = None if args.keys == 0 else f"key-{index % args.keys}"
        yield message(event(index, args.mode, data[index % len(data)], key), args.mode, is_5)


def plain(args):
    return args.payload.encode(), args.content_type, []


def publish_properties(args, content_type, pairs):
    made = Properties(PacketTypes.PUBLISH)
    if content_type is not None:
        made.ContentType = content_type
    pairs = pairs + [tuple(pair.split("=", 1)) for pair in args.user_property]
    if pairs:
        made.UserProperty = pairs
    if args.expiry is not None:
        made.MessageExpiryInterval = args.expiry
    if args.response_topic is not None:
        made.ResponseTopic = args.response_topic
    if args.correlation is not None:
        made.CorrelationData = args.correlation.encode()
    if args.format is not None:
        made.PayloadFormatIndicator = args.format
    return made


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first event's number")
    parser.add_argument("--mode", choices=["binary", "structured", "plain"], default="binary")
    parser.add_argument("--data", choices=[*KINDS, "all", "edges", "every"], default="all")
    parser.add_argument("--keys", type=int, default=3, help="how many keys take turns; 0: no key")
    parser.add_argument("--retain", action="store_true")
    parser.add_argument("--payload", default="", help="of a plain message")
    parser.add_argument("--content-type", help="of a plain message")
    parser.add_argument("--user-property", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--expiry", type=int, help="seconds")
    parser.add_argument("--response-topic")
    parser.add_argument("--correlation", help="text")
    parser.add_argument("--format", type=int, choices=[0, 1], help="the payload format indicator")
    return parser.parse_args()


main()
