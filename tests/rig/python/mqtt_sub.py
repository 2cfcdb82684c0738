"""Subscribes to an MQTT topic filter, prints `{"subscribed": [REASON CODE], "session": WAS THERE}`, then each message as
mqtt_common.py says, and acknowledges it when it is printed. Where the session was there its messages come at once: nothing is
subscribed again, and there is no code. Ends after --count messages (0: it runs until it is killed), with --session so that
the rest waits for the next one; fails where there are too few in time."""

import argparse
import json
import threading

from paho.mqtt.subscribeoptions import SubscribeOptions

from mqtt_common import add_arguments, client, properties_of, show


def main():
    args = arguments()
    is_5 = args.version == "5"
    made, how = client(args)
    done, state = threading.Event(), {"taken": 0, "why": "no answer"}

    def on_connect(_client, _data, flags, reason, _properties):
        state["session"] = flags.session_present
        if reason.is_failure:
            state["why"] = str(reason)
            done.set()
        elif flags.session_present:
            subscribed([])
        elif is_5:
            options = SubscribeOptions(args.qos, retainHandling=args.retain_handling, retainAsPublished=args.retain_as_published)
            made.subscribe(args.topic, options=options)
        else:
            made.subscribe(args.topic, args.qos)

    def on_subscribe(_client, _data, _number, reasons, _properties):
        subscribed([reason.value for reason in reasons])

    def subscribed(codes):
        state["why"] = f"subscribed: {codes}"
        print(json.dumps({"subscribed": codes, "session": state["session"]}), flush=True)

    def on_message(_client, _data, found):
        if args.count and state["taken"] >= args.count:
            return
        properties = getattr(found, "properties", None)
        content_type = getattr(properties, "ContentType", None)
        pairs = getattr(properties, "UserProperty", [])
        more = {"topic": found.topic, "qos": found.qos, "retain": bool(found.retain), "dup": bool(found.dup)}
        show(found.payload, content_type, pairs, **more, **properties_of(properties))
        made.ack(found.mid, found.qos)
        state["taken"] += 1
        if state["taken"] == args.count:
            done.set()

    made.on_connect, made.on_subscribe, made.on_message = on_connect, on_subscribe, on_message
    made.connect(**how)
    made.loop_start()
    done.wait(args.seconds if args.count else None)
    made.disconnect()
    made.loop_stop()
    if state["taken"] < args.count:
        raise SystemExit(f"{state['taken']} of {args.count} messages of {args.topic} within {args.seconds} s ({state['why']})")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--retain-handling", type=int, choices=[0, 1, 2], default=0)
    parser.add_argument("--retain-as-published", action="store_true")
    return parser.parse_args()


main()
