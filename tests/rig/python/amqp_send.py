"""Sends CloudEvents, or plain messages, to an AMQP 1.0 address, and prints each one as it reads its own message, with
`outcome` (accepted, rejected, released or modified) and `condition` when the peer has settled it. Fails where an outcome
is another one than --outcome."""

import argparse
import json

from proton import Message
from proton.handlers import MessagingHandler

from amqp_common import PREFIXES, Failures, add_arguments, connect, container, options, pairs, parse, show, to_message
from common import KINDS, event, kinds

LIMIT_S = 60


class Sender(Failures, MessagingHandler):
    def __init__(self, args, messages):
        super().__init__(auto_settle=False)
        self.args, self.messages = args, messages
        self.sent, self.outcomes, self.timer = [], {}, None

    def on_start(self, event):
        self.timer = event.container.schedule(LIMIT_S, self)
        connection = connect(event.container, self.args)
        event.container.create_sender(connection, self.args.address, options=options(self.args, at_source=False))

    def on_sendable(self, event):
        while event.sender.credit and len(self.sent) < len(self.messages):
            self.sent.append(event.sender.send(self.messages[len(self.sent)]).tag)

    def on_accepted(self, event):
        self.take(event, "accepted")

    def on_rejected(self, event):
        self.take(event, "rejected")

    def on_released(self, event):
        self.take(event, "modified" if event.delivery.remote_state == event.delivery.MODIFIED else "released")

    def take(self, event, outcome):
        condition = event.delivery.remote.condition
        self.outcomes[event.delivery.tag] = (outcome, None if condition is None else condition.name)
        event.delivery.settle()
        if len(self.outcomes) == len(self.messages):
            self.timer.cancel()
            event.connection.close()

    def on_timer_task(self, _event):
        raise SystemExit(f"{len(self.outcomes)} of {len(self.messages)} messages settled within {LIMIT_S} s, {len(self.sent)} sent")


def main():
    args = arguments()
    messages = [plain(args) for _ in range(args.count)] if args.mode == "plain" else list(events(args))
    for message in messages:
        dress(message, args)
    sender = Sender(args, messages)
    made = container(sender, args)
    made.run()
    wrong = []
    for tag, message in zip(sender.sent, messages):
        outcome, condition = sender.outcomes[tag]
        show(message, outcome=outcome, condition=condition)
        if args.outcome not in (outcome, "any"):
            wrong.append(f"{outcome}: {condition}")
    if wrong or len(sender.sent) < len(messages):
        raise SystemExit(f"{len(sender.sent)} of {len(messages)} sent; not {args.outcome}: {wrong[:3]}")


def events(args):
    data = kinds(args.data)
    for index in range(args.start, args.start + args.count):
        key = None if args.keys == 0 else f"key-{index % args.keys}"
        # AMQP has types of its own, so that a boolean needs no text.
        made = event(index, args.mode if args.text else "typed", data[index % len(data)], key)
        yield to_message(made, args.mode, args.prefix, args.section == "data")


def plain(args):
    body = json.loads(args.body) if args.json else parse(args.body)
    made = Message(body=body, inferred=args.section == "data")
    if args.content_type is not None:
        made.content_type = args.content_type
    return made


def dress(message, args):
    message.durable = not args.transient
    for name in ["priority", "subject", "reply_to", "group_id"]:
        if getattr(args, name) is not None:
            setattr(message, name, getattr(args, name))
    if args.to is not None:
        message.address = args.to
    if args.ttl is not None:
        message.ttl = args.ttl
    if args.message_id is not None:
        message.id = parse(args.message_id)
    if args.correlation_id is not None:
        message.correlation_id = parse(args.correlation_id)
    if args.property:
        message.properties = {**(message.properties or {}), **pairs(args.property)}
    if args.annotation:
        message.annotations = pairs(args.annotation)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first event's number")
    parser.add_argument("--mode", choices=["binary", "structured", "plain"], default="binary")
    parser.add_argument("--data", choices=[*KINDS, "all", "edges", "every"], default="all")
    parser.add_argument("--keys", type=int, default=3, help="how many keys take turns; 0: no key")
    parser.add_argument("--prefix", choices=PREFIXES, default=PREFIXES[0])
    parser.add_argument("--section", choices=["data", "value"], default="data", help="where the body lies")
    parser.add_argument("--text", action="store_true", help="booleans as text")
    parser.add_argument("--outcome", choices=["accepted", "rejected", "released", "modified", "any"], default="accepted")
    parser.add_argument("--body", default="", help="of a plain message, TYPE:VALUE; a section of data needs binary")
    parser.add_argument("--json", action="store_true", help="the body is JSON: its maps and lists become AMQP's")
    parser.add_argument("--content-type", help="of a plain message")
    parser.add_argument("--transient", action="store_true", help="not durable")
    parser.add_argument("--priority", type=int)
    parser.add_argument("--ttl", type=float, help="seconds")
    parser.add_argument("--message-id", help="TYPE:VALUE")
    parser.add_argument("--correlation-id", help="TYPE:VALUE")
    parser.add_argument("--to")
    parser.add_argument("--subject")
    parser.add_argument("--reply-to")
    parser.add_argument("--group-id")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=TYPE:VALUE")
    parser.add_argument("--annotation", action="append", default=[], metavar="NAME=TYPE:VALUE")
    return parser.parse_args()


main()
