"""Publishes many numbered events and survives restarts of the broker; the events, the printed lines and the promises stand
in bulk.py."""

import argparse
import json
import queue
import threading
from collections import deque

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bulk import RETRY_S, Flood, attributes, data, flood_arguments, structured
from mqtt_common import add_arguments, client


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    flood_arguments(parser)
    args = parser.parse_args()
    # What is unconfirmed is Paho's to send again; it does so within a session.
    args.session = True
    is_5 = args.version == "5"
    flood = Flood(args)
    # Paho calls from its own thread, with its locks held; all that counts happens here.
    answers = queue.SimpleQueue()
    made, how = client(args)
    # Above our own bound: where Paho has to queue, it changes the order.
    made.max_inflight_messages_set(2 * args.window)
    made.max_queued_messages_set(0)
    made.reconnect_delay_set(RETRY_S, RETRY_S)
    connected, broken = threading.Event(), threading.Event()

    def on_connect(_client, _data, _flags, reason, _properties):
        if not reason.is_failure:
            flood.connect()
            connected.set()

    made.on_connect, made.on_disconnect = on_connect, lambda *_: broken.set()
    made.on_publish = lambda _client, _data, mid, reason, _properties: answers.put((mid, reason))
    made.connect_async(**how)
    made.loop_start()
    # Before that nothing is given to Paho, so that it keeps nothing back for later.
    connected.wait()
    numbers, waiting = deque(range(args.start, args.start + args.count)), {}
    while numbers or waiting:
        # After a break Paho sends again what was unconfirmed; the new ones come behind all of that.
        if broken.is_set() and not waiting:
            broken.clear()
        while numbers and len(waiting) < args.window and not broken.is_set():
            number = numbers.popleft()
            payload, properties = message(args, number, is_5)
            waiting[made.publish(args.topic, payload, args.qos, properties=properties).mid] = number
            flood.sent += 1
        mid, reason = answers.get()
        number = waiting.pop(mid)
        if reason is not None and reason.is_failure:
            flood.refused += 1
            numbers.append(number)
        else:
            flood.confirm(number)
    made.disconnect()
    made.loop_stop()
    flood.end()


def message(args, number, is_5):
    properties = Properties(PacketTypes.PUBLISH) if is_5 and args.mode != "plain" else None
    if args.mode == "structured":
        if properties is not None:
            properties.ContentType = "application/cloudevents+json"
        return structured(args, number), properties
    if properties is not None:
        properties.ContentType = "application/json"
        properties.UserProperty = list(attributes(args, number).items())
    return json.dumps(data(args, number)).encode(), properties


main()
