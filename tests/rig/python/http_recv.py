"""Listens on loopback and prints `{"port": N}`, then each CloudEvent that is posted, with `path` and `headers` (names in
lower case). Answers 204, or 400 to what is no CloudEvent, which it prints as `{"refused": REASON}`. A batch is printed
event by event. Runs until it is killed."""

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings import http as binding

from common import FORMAT, describe


# A sender keeps several connections, each of which has a thread; a line is printed whole.
PRINTING = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = 204
        with PRINTING:
            try:
                for event, raw in events(headers, body):
                    describe(event, raw, path=self.path, headers=headers)
            except Exception as error:  # whatever the SDK raises is a refusal
                status = 400
                print(json.dumps({"refused": f"{type(error).__name__}: {error}"}), flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def events(headers, body):
    if headers.get("content-type", "").startswith("application/cloudevents-batch"):
        for item in json.loads(body):
            raw = json.dumps(item).encode()
            yield FORMAT.read(None, raw), raw
    else:
        yield binding.from_http(binding.HTTPMessage(headers, body), FORMAT), body


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    server = ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


main()
