"""A broker of AMQP 1.0 that answers as it is told: Qpid Proton, listening. Prints {"port": N} first; then reads one JSON object
a line from standard input, does it, and answers with one.

  {"mode": MODE}  from now on: accept, reject, fail (modified, delivery-failed), release, overloaded (rejected,
                  amqp:resource-limit-exceeded), unauthorised (links are refused), missing (links are refused), silent
  {"taken": true} what was accepted so far, as amqp_peer.py shows messages
"""

import base64
import json
import queue
import sys
import threading

import proton
from proton import Condition, Delivery, Terminus
from proton.handlers import MessagingHandler
from proton.reactor import Container

CREDIT = 100
TICK_S = 0.02
REFUSALS = {
    "unauthorised": ("amqp:unauthorized-access", "not for you"),
    "missing": ("amqp:not-found", "no such node"),
}


class Fake(MessagingHandler):
    def __init__(self, asked):
        super().__init__(prefetch=CREDIT, auto_accept=False, auto_settle=False)
        self.asked, self.mode, self.taken, self.links, self.doomed = asked, "accept", [], [], []

    def on_start(self, event):
        self.acceptor = event.container.listen("127.0.0.1:0")
        port = self.acceptor._selectable._delegate.getsockname()[1]
        print(json.dumps({"port": port}), flush=True)
        event.container.schedule(TICK_S, self)

    def on_timer_task(self, event):
        while self.doomed and self.mode in REFUSALS:
            self.refuse(self.doomed.pop())
        while not self.asked.empty():
            ask = self.asked.get()
            if ask is None:
                sys.exit(0)
            print(json.dumps(self.answer(ask)), flush=True)
        event.container.schedule(TICK_S, self)

    def answer(self, ask):
        if "mode" in ask:
            self.mode = ask["mode"]
            # Those who hold a link learn of it.
            if self.mode in REFUSALS:
                for link in self.links:
                    self.refuse(link)
            return {}
        return {"messages": self.taken}

    def refuse(self, link):
        name, text = REFUSALS[self.mode]
        link.condition = Condition(name, text)
        link.close()
        if link in self.links:
            self.links.remove(link)

    def on_link_opening(self, event):
        link = event.link
        if self.mode in REFUSALS:
            # As the specification wants it: an attach without a terminus, then the reason.
            link.target.type = Terminus.UNSPECIFIED
            link.open()
            self.doomed.append(link)
            return
        link.target.copy(link.remote_target)
        link.source.copy(link.remote_source)
        link.open()
        self.links.append(link)

    def on_message(self, event):
        delivery, message = event.delivery, event.message
        if self.mode == "silent":
            return
        if self.mode == "accept":
            self.taken.append(shown(message))
            delivery.update(Delivery.ACCEPTED)
        elif self.mode in ("reject", "overloaded"):
            if self.mode == "overloaded":
                delivery.local.condition = Condition("amqp:resource-limit-exceeded", "full")
            delivery.update(Delivery.REJECTED)
        elif self.mode == "fail":
            delivery.local.failed = True
            delivery.update(Delivery.MODIFIED)
        else:
            delivery.update(Delivery.RELEASED)
        delivery.settle()

    def on_transport_error(self, event):
        pass

    def on_link_error(self, event):
        pass


def read(value):
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, proton.timestamp):
        return "timestamp", str(int(value))
    if isinstance(value, (bytes, memoryview)):
        return "binary", base64.b64encode(bytes(value)).decode()
    if isinstance(value, int):
        return "integer", str(int(value))
    return "string", str(value)


def shown(message):
    body = message.body
    return {
        "attributes": [[name, *read(value)] for name, value in (message.properties or {}).items()],
        "content_type": None if message.content_type in (None, "", "None") else str(message.content_type),
        "group": message.group_id or None,
        "body": None if body is None else base64.b64encode(bytes(body)).decode(),
    }


def main():
    asked = queue.Queue()

    def listen():
        for line in sys.stdin:
            asked.put(json.loads(line))
        asked.put(None)

    threading.Thread(target=listen, daemon=True).start()
    Container(Fake(asked)).run()


main()
