"""A client of an AMQP 1.0 broker that stays: reads one JSON object a line, does it, and answers with one.

  {"do": "send", "address", "messages": [M...]}   sends each and waits until all are accepted: {"outcomes": [...]}
  {"do": "receive", "address", "count", "seconds"} takes messages, at most so many, until none comes for so long, accepts
                                                  them: {"messages": [M...]}
  {"do": "depth", "queue"}                        asks Artemis: {"depth": N}, 0 where there is no such queue
A message M: attributes [[NAME, KIND, TEXT]] as application properties with --prefix (KIND boolean, integer, binary (base64),
timestamp (ms) or string), content_type, group, id, body (base64) or null, durable. A connection that is lost is made again.
"""

import argparse
import base64
import json
import sys
import time

import proton
from proton import Message
from proton.utils import BlockingConnection, LinkDetached, SyncRequestResponse

WINDOW = 500
WRITE = {
    "boolean": lambda text: text == "true",
    "integer": int,
    "binary": base64.b64decode,
    "timestamp": lambda text: proton.timestamp(int(text)),
    "string": str,
}
TRIES = 100
OUTCOMES = {
    proton.Delivery.ACCEPTED: "accepted",
    proton.Delivery.REJECTED: "rejected",
    proton.Delivery.RELEASED: "released",
    proton.Delivery.MODIFIED: "modified",
}


def read(value):
    """KIND and text of an application property."""
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, proton.timestamp):
        return "timestamp", str(int(value))
    if isinstance(value, (bytes, memoryview)):
        return "binary", base64.b64encode(bytes(value)).decode()
    if isinstance(value, int):
        return "integer", str(int(value))
    return "string", str(value)


class Peer:
    def __init__(self, args):
        self.args, self.connection = args, None

    def open(self):
        if self.connection is None:
            self.connection = BlockingConnection(f"amqp://127.0.0.1:{self.args.port}", timeout=30, allowed_mechs="ANONYMOUS")
            self.senders, self.management = {}, None
        return self.connection

    def close(self):
        if self.connection is not None:
            try:
                self.connection.close()
            except Exception:
                pass
        self.connection = None

    def send(self, ask):
        sender = self.senders.get(ask["address"])
        if sender is None:
            sender = self.senders[ask["address"]] = self.connection.create_sender(ask["address"])
        link, waiting, deliveries, outcomes = sender.link, list(ask["messages"]), [], []
        while waiting or deliveries:
            while waiting and link.credit > 0:
                deliveries.append(link.send(self.message(waiting.pop(0))))
            self.connection.wait(lambda: (deliveries and deliveries[0].settled) or (waiting and link.credit > 0), msg="sending")
            while deliveries and deliveries[0].settled:
                outcomes.append(OUTCOMES.get(deliveries[0].remote_state, "none"))
                deliveries.pop(0).settle()
        return {"outcomes": outcomes}

    def message(self, one):
        made = Message(durable=one.get("durable", True))
        made.inferred = True
        body = one.get("body")
        made.body = None if body is None else base64.b64decode(body)
        if body is None:
            made.inferred = False
        if one.get("content_type") is not None:
            made.content_type = one["content_type"]
        if one.get("group") is not None:
            made.group_id = one["group"]
        if one.get("id") is not None:
            made.id = one["id"]
        made.properties = {self.args.prefix + name: WRITE[kind](text) for name, kind, text in one["attributes"]}
        return made

    def receive(self, ask):
        receiver = self.connection.create_receiver(ask["address"], credit=WINDOW)
        messages = []
        try:
            while len(messages) < ask["count"]:
                try:
                    message = receiver.receive(timeout=ask["seconds"])
                except proton.Timeout:
                    break
                messages.append(self.shown(message))
                receiver.accept()
        finally:
            receiver.close()
        return {"messages": messages}

    def shown(self, message):
        body = message.body
        if isinstance(body, str):
            body = body.encode()
        properties = message.properties or {}
        return {
            "attributes": [[name, *read(value)] for name, value in properties.items()],
            "content_type": None if message.content_type in (None, "", "None") else str(message.content_type),
            "group": message.group_id or None,
            "body": None if body is None else base64.b64encode(bytes(body)).decode(),
            "durable": message.durable,
        }

    def depth(self, ask):
        if self.management is None:
            self.management = SyncRequestResponse(self.connection, "activemq.management")
        names = {"_AMQ_ResourceName": f"queue.{ask['queue']}", "_AMQ_Attribute": "messageCount"}
        answer = self.management.call(Message(properties=names))
        known = answer.properties.get("_AMQ_OperationSucceeded")
        return {"depth": json.loads(answer.body)[0] if known else 0}

    def answer(self, ask):
        for attempt in range(TRIES):
            try:
                self.open()
                return getattr(self, ask["do"])(ask)
            except (proton.ProtonException, LinkDetached, OSError) as error:
                self.close()
                if attempt + 1 == TRIES:
                    return {"error": f"{type(error).__name__}: {error}"}
                time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--prefix", default="cloudEvents:")
    peer = Peer(parser.parse_args())
    for line in sys.stdin:
        print(json.dumps(peer.answer(json.loads(line))), flush=True)


main()
