"""Sends many numbered events to an AMQP 1.0 address and survives restarts of the broker; the events, the printed lines and
the promises stand in bulk.py. Confirmed is what was accepted."""

import argparse
import json
from collections import deque

from proton import Message
from proton.handlers import MessagingHandler

from amqp_common import add_arguments, connect, container, options
from bulk import RETRY_S, Flood, attributes, data, flood_arguments, structured


class Sender(MessagingHandler):
    def __init__(self, args):
        super().__init__()
        self.args, self.flood = args, Flood(args)
        self.numbers = deque(range(args.start, args.start + args.count))
        self.unsettled, self.connection, self.ended = {}, None, False

    def on_start(self, event):
        self.dial(event.container)

    def dial(self, made):
        self.connection = connect(made, self.args)
        made.create_sender(self.connection, self.args.address, options=options(self.args, at_source=False))

    def on_link_opened(self, event):
        if event.link.remote_target.address is not None:
            self.flood.connect()

    def on_sendable(self, event):
        self.send(event.sender)

    def send(self, sender):
        while sender.credit and self.numbers and len(self.unsettled) < self.args.window:
            number = self.numbers.popleft()
            self.unsettled[sender.send(message(self.args, number)).tag] = number
            self.flood.sent += 1

    def on_accepted(self, event):
        number = self.unsettled.pop(event.delivery.tag, None)
        if number is not None and self.flood.confirm(number):
            self.ended = True
            event.connection.close()
        self.send(event.link)

    def on_rejected(self, event):
        self.again(event)

    def on_released(self, event):
        self.again(event)

    def again(self, event):
        number = self.unsettled.pop(event.delivery.tag, None)
        if number is not None:
            self.flood.refused += 1
            self.numbers.appendleft(number)
        self.send(event.link)

    def on_link_error(self, event):
        event.connection.close()

    def on_connection_error(self, _event):
        pass

    def on_transport_error(self, _event):
        pass

    def on_transport_closed(self, event):
        if self.ended or event.connection != self.connection:
            return
        # In their order; what was sent and not settled comes first.
        self.numbers.extendleft(sorted(self.unsettled.values(), reverse=True))
        self.unsettled.clear()
        event.container.schedule(RETRY_S, self)

    def on_timer_task(self, event):
        self.dial(event.container)


def message(args, number):
    if args.mode == "structured":
        made = Message(body=structured(args, number), inferred=True)
        made.content_type = "application/cloudevents+json"
    else:
        made = Message(body=json.dumps(data(args, number)).encode(), inferred=True)
        if args.mode == "binary":
            made.content_type = "application/json"
            made.properties = {f"cloudEvents_{name}": value for name, value in attributes(args, number).items()}
    made.durable = True
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    flood_arguments(parser)
    sender = Sender(parser.parse_args())
    container(sender, sender.args).run()
    sender.flood.end()


main()
