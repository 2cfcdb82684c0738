"""Collects many numbered events from a session of its own and survives restarts of the broker; the lines that it prints
stand in bulk.py. An event is acknowledged after it was counted."""

import argparse

from paho.mqtt.client import MQTT_ERR_SUCCESS

from bulk import RETRY_S, Drain, drain_arguments
from mqtt_common import add_arguments, client


def attributes_of(found):
    properties = found.properties
    attributes = dict(getattr(properties, "UserProperty", []))
    if hasattr(properties, "ContentType"):
        attributes["datacontenttype"] = properties.ContentType
    return attributes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    drain_arguments(parser)
    args = parser.parse_args()
    args.session = True
    drain = Drain(args)
    made, how = client(args)
    made.reconnect_delay_set(RETRY_S, RETRY_S)

    def on_connect(_client, _data, flags, reason, _properties):
        if reason.is_failure:
            return
        if flags.session_present:
            drain.connect()
        elif made.subscribe(args.topic, args.qos)[0] != MQTT_ERR_SUCCESS:
            made.disconnect()

    def on_message(_client, _data, found):
        drain.take(found.payload, attributes_of(found))
        made.ack(found.mid, found.qos)

    made.on_connect, made.on_message = on_connect, on_message
    made.on_subscribe = lambda *_: drain.connect()
    made.connect_async(**how)
    made.loop_start()
    drain.stop.wait()
    made.disconnect()
    made.loop_stop()
    drain.end()


main()
