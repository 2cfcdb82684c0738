"""What the floods and the drains share: numbered events, and the account of what came.

An event PREFIX-N has the data {"id": "PREFIX-N", "n": N, "key": "key-K", "pad": ...}; the key is its `partitionkey`, too. Events of one
key have rising numbers, but for --start.

A flood prints `{"connected": N}` for the Nth connection, `{"confirmed": N}` after each thousand, and at its end
  {"done": true, "confirmed": N, "sent": TIMES SENT, "refused": N, "connections": N, "seconds": S}
It sends again what was not confirmed when a connection broke, and what was refused; so duplicates are possible and nothing is missing.

A drain prints `{"connected": N}`, `{"distinct": N}` after each thousand, and at its end, which is --count distinct events or SIGTERM,
  {"done": true, "distinct": N, "total": N, "duplicates": N, "late": N, "missing": [the first 20 numbers below --count], "foreign": N,
   "connections": N, "seconds": S}
`late` counts events that came for the first time after a later one of their key; `foreign` those that no flood made.

With --ledger both say each event's number, some at a time, in the order in which it was confirmed or came: a flood
  {"acked": [N, ...]}
and a drain, which then compares data and attributes with what the flood sends under the same --keys and --size,
  {"came": [N, ...], "damaged": [those of them that are not equal]}
"""

import json
import signal
import threading
import time

RETRY_S = 0.1
STEP = 1000
# How long a number waits at most until it is said.
TELL_S = 0.02
SAYING = threading.Lock()


def shared_arguments(parser):
    parser.add_argument("--prefix", default="flood")
    parser.add_argument("--keys", type=int, default=100, help="how many keys take turns")
    parser.add_argument("--size", type=int, default=256, help="bytes of data, about")
    parser.add_argument("--ledger", action="store_true", help="says each number")


def flood_arguments(parser):
    shared_arguments(parser)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--window", type=int, default=500, help="events sent and not confirmed")
    parser.add_argument("--mode", choices=["binary", "structured", "plain"], default="binary")


def drain_arguments(parser):
    shared_arguments(parser)
    parser.add_argument("--count", type=int, default=0, help="distinct events; 0: until SIGTERM")


def attributes(args, number):
    return {
        "specversion": "1.0",
        "id": f"{args.prefix}-{number}",
        "source": "/weft/rig/flood",
        "type": "com.example.rig.flood",
        "partitionkey": f"key-{number % args.keys}",
    }


def data(args, number):
    head = {"id": f"{args.prefix}-{number}", "n": number, "key": f"key-{number % args.keys}"}
    return {**head, "pad": "x" * max(0, args.size - 60)}


def structured(args, number):
    return json.dumps({**attributes(args, number), "datacontenttype": "application/json", "data": data(args, number)}).encode()


def equals(args, number, payload, found):
    """Whether an event is what the flood sent; what Weft adds does not count."""
    theirs = {name: value for name, value in found.items() if not name.startswith("weft")}
    ours = {**attributes(args, number), "datacontenttype": "application/json"}
    return payload == json.dumps(data(args, number)).encode() and theirs == ours


def say(**line):
    with SAYING:
        print(json.dumps(line), flush=True)


class Teller:
    """Says numbers, some at a time, from a thread of its own."""

    def __init__(self, *names):
        self.names, self.waiting, self.lock = names, {name: [] for name in names}, threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def add(self, name, number):
        with self.lock:
            self.waiting[name].append(number)

    def run(self):
        while True:
            time.sleep(TELL_S)
            self.tell()

    def tell(self):
        with self.lock:
            said, self.waiting = self.waiting, {name: [] for name in self.names}
            if any(said.values()):
                say(**said)


class Flood:
    """The account of a sender."""

    def __init__(self, args):
        self.count, self.began = args.count, time.monotonic()
        self.teller = Teller("acked") if args.ledger else None
        self.confirmed = self.sent = self.refused = self.connections = 0

    def connect(self):
        self.connections += 1
        say(connected=self.connections)

    def confirm(self, number):
        """True when it was the last one."""
        self.confirmed += 1
        if self.teller is not None:
            self.teller.add("acked", number)
        elif self.confirmed % STEP == 0:
            say(confirmed=self.confirmed)
        return self.confirmed == self.count

    def end(self):
        if self.teller is not None:
            self.teller.tell()
        seconds = round(time.monotonic() - self.began, 3)
        say(done=True, confirmed=self.confirmed, sent=self.sent, refused=self.refused, connections=self.connections, seconds=seconds)


class Drain:
    """The account of a receiver. `stop` is set when it is told to end."""

    def __init__(self, args):
        self.args, self.seen, self.last = args, set(), {}
        self.total = self.late = self.foreign = self.connections = 0
        self.began = None
        self.teller = Teller("came", "damaged") if args.ledger else None
        self.stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())

    def connect(self):
        self.connections += 1
        say(connected=self.connections)

    def take(self, payload, attributes=None):
        """True when nothing is missing any more."""
        if self.began is None:
            self.began = time.monotonic()
        try:
            found = json.loads(payload)
            found = found.get("data", found)
            number, key = found["n"], found["key"]
            known = found["id"] == f"{self.args.prefix}-{number}"
        except (ValueError, KeyError, TypeError, AttributeError):
            known = False
        if not known:
            self.foreign += 1
            return False
        self.total += 1
        if self.teller is not None:
            self.teller.add("came", number)
            if not equals(self.args, number, bytes(payload), attributes or {}):
                self.teller.add("damaged", number)
        if number in self.seen:
            return False
        self.seen.add(number)
        if number < self.last.get(key, -1):
            self.late += 1
        else:
            self.last[key] = number
        if len(self.seen) % STEP == 0 and self.teller is None:
            say(distinct=len(self.seen))
        if len(self.seen) == self.args.count:
            self.stop.set()
        return self.stop.is_set()

    def end(self):
        if self.teller is not None:
            self.teller.tell()
        missing = []
        for number in range(self.args.count):
            if number not in self.seen:
                missing.append(number)
                if len(missing) == 20:
                    break
        distinct = len(self.seen)
        seconds = 0 if self.began is None else round(time.monotonic() - self.began, 3)
        say(
            done=True,
            distinct=distinct,
            total=self.total,
            duplicates=self.total - distinct,
            late=self.late,
            missing=missing,
            foreign=self.foreign,
            connections=self.connections,
            seconds=seconds,
        )
