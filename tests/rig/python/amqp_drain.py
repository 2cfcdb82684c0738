"""Collects many numbered events from an AMQP 1.0 address and survives restarts of the broker; the lines that it prints stand
in bulk.py. An event is accepted after it was counted."""

import argparse

from proton.handlers import MessagingHandler

from amqp_common import PREFIXES, add_arguments, connect, container, options, raw_of
from bulk import RETRY_S, Drain, drain_arguments

CREDIT = 1000
LOOK_S = 0.05


class Receiver(MessagingHandler):
    def __init__(self, args):
        super().__init__(prefetch=CREDIT)
        self.args, self.drain, self.connection, self.lost = args, Drain(args), None, False

    def on_start(self, event):
        self.dial(event.container)
        event.container.schedule(LOOK_S, self)

    def dial(self, made):
        self.lost = False
        self.connection = connect(made, self.args)
        made.create_receiver(self.connection, self.args.address, options=options(self.args, at_source=True))

    def on_link_opened(self, event):
        if event.link.remote_source.address is not None:
            self.drain.connect()

    def on_message(self, event):
        self.drain.take(raw_of(event.message), attributes_of(event.message))

    def on_link_error(self, event):
        event.connection.close()

    def on_connection_error(self, _event):
        pass

    def on_transport_error(self, _event):
        pass

    def on_transport_closed(self, event):
        if event.connection == self.connection:
            self.lost = True

    def on_timer_task(self, event):
        if self.drain.stop.is_set():
            if not self.lost:
                self.connection.close()
            return
        if self.lost:
            self.dial(event.container)
        event.container.schedule(max(LOOK_S, RETRY_S if self.lost else 0), self)


def attributes_of(message):
    found = {name[len(PREFIXES[0]) :]: value for name, value in (message.properties or {}).items() if name.startswith(PREFIXES)}
    if message.content_type is not None:
        found["datacontenttype"] = str(message.content_type)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    drain_arguments(parser)
    receiver = Receiver(parser.parse_args())
    container(receiver, receiver.args).run()
    receiver.drain.end()


main()
