"""Receives from an AMQP 1.0 address. Prints `{"attached": ADDRESS}`, then each message as amqp_common.py says, and settles it
when it is printed. Ends after --count messages (0: it runs until it is killed) and takes no more than those; fails where
there are too few in time."""

import argparse
import json

from proton.handlers import MessagingHandler
from proton.reactor import DurableSubscription, Selector

from amqp_common import Failures, add_arguments, connect, container, options, show

CREDIT = 100


class Receiver(Failures, MessagingHandler):
    def __init__(self, args):
        super().__init__(prefetch=0, auto_accept=False)
        self.args, self.taken, self.timer = args, 0, None

    def on_start(self, event):
        args = self.args
        if args.count:
            self.timer = event.container.schedule(args.seconds, self)
        wishes = options(args, at_source=True)
        if args.selector is not None:
            wishes.append(Selector(args.selector))
        if args.durable is not None:
            wishes.append(DurableSubscription())
        connection = connect(event.container, args)
        event.container.create_receiver(connection, args.address, name=args.durable, options=wishes)

    def on_link_opened(self, event):
        if event.link.remote_source.address is None:
            return
        print(json.dumps({"attached": event.link.remote_source.address}), flush=True)
        event.link.flow(self.args.count or CREDIT)

    def on_message(self, event):
        args, delivery = self.args, event.delivery
        show(event.message)
        self.taken += 1
        if args.settle == "accept":
            self.accept(delivery)
        elif args.settle == "reject":
            self.reject(delivery)
        elif args.settle == "release":
            self.release(delivery, delivered=False)
        elif args.settle == "modify":
            delivery.local.failed = True
            self.release(delivery, delivered=True)
        if not args.count:
            event.receiver.flow(1)
        elif self.taken == args.count:
            self.timer.cancel()
            # A durable subscription stays where its link is detached, and goes where it is closed.
            if args.durable is not None:
                event.receiver.detach()
            event.connection.close()

    def on_timer_task(self, _event):
        raise SystemExit(f"{self.taken} of {self.args.count} messages of {self.args.address} within {self.args.seconds} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--settle", choices=["accept", "reject", "release", "modify", "none"], default="accept")
    parser.add_argument("--selector")
    parser.add_argument("--durable", help="the name of a durable subscription; it needs a --container-id of its own")
    args = parser.parse_args()
    receiver = Receiver(args)
    made = container(receiver, args)
    made.run()
    if receiver.taken < args.count:
        raise SystemExit(f"closed after {receiver.taken} of {args.count} messages")


main()
