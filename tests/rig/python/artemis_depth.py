"""Asks Artemis' management address how many messages a queue holds, and prints `{"depth": N}`."""

import argparse
import json

from proton import Message
from proton.utils import BlockingConnection, SyncRequestResponse


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--queue", required=True)
    args = parser.parse_args()
    connection = BlockingConnection(f"amqp://127.0.0.1:{args.port}", timeout=30, allowed_mechs="ANONYMOUS")
    names = {"_AMQ_ResourceName": f"queue.{args.queue}", "_AMQ_Attribute": "messageCount"}
    answer = SyncRequestResponse(connection, "activemq.management").call(Message(properties=names))
    if not answer.properties.get("_AMQ_OperationSucceeded"):
        raise SystemExit(f"{args.queue}: {answer.body}")
    print(json.dumps({"depth": json.loads(answer.body)[0]}), flush=True)
    connection.close()


main()
