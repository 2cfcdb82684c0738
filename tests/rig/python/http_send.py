"""Sends CloudEvents by HTTP POST over one connection, and prints each one as the SDK reads it back from its own message,
with `status` and `answer` (text). A batch is one request; each of its events is printed with that one answer."""

import argparse
import http.client
from urllib.parse import urlsplit

from cloudevents.core.bindings import http as binding

from common import FORMAT, KINDS, describe, event, kinds

BATCH = "application/cloudevents-batch+json"


def main():
    args = arguments()
    url = urlsplit(args.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")

    def post(headers, body):
        connection.request("POST", path, body=body, headers=headers)
        response = connection.getresponse()
        return {"status": response.status, "answer": response.read().decode(errors="replace")}

    data = kinds(args.data)
    numbers = range(args.start, args.start + args.count)
    write = binding.to_binary if args.mode == "binary" else binding.to_structured
    messages = [write(event(index, args.mode, data[index % len(data)]), FORMAT) for index in numbers]
    if args.mode == "batch":
        answer = post({"content-type": BATCH}, b"[" + b",".join(message.body for message in messages) + b"]")
        for message in messages:
            describe(binding.from_http(message, FORMAT), message.body, **answer)
        return
    for message in messages:
        answer = post(message.headers, message.body)
        describe(binding.from_http(message, FORMAT), message.body, **answer)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first event's number")
    parser.add_argument("--mode", choices=["binary", "structured", "batch"], default="binary")
    parser.add_argument("--data", choices=[*KINDS, "all", "edges", "every"], default="all")
    return parser.parse_args()


main()
