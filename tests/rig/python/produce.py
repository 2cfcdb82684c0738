"""Sends CloudEvents to a Kafka topic, and prints each one as the SDK reads it back from its own message, with `key`,
`headers` (text), `partition` and `offset`."""

import argparse

from cloudevents.core.bindings import kafka
from confluent_kafka import Producer

from common import FORMAT, KINDS, describe, event, kinds


def main():
    args = arguments()
    producer = Producer({"bootstrap.servers": args.brokers, "acks": "all", "enable.idempotence": True})
    write = kafka.to_binary if args.mode == "binary" else kafka.to_structured
    failed = []

    def report(message):
        def taken(error, record):
            if error is not None:
                failed.append(str(error))
                return
            headers = {name: value.decode() for name, value in message.headers.items()}
            describe(
                kafka.from_kafka(message, FORMAT),
                message.value,
                key=message.key,
                headers=headers,
                partition=record.partition(),
                offset=record.offset(),
            )

        return taken

    data = kinds(args.data)
    for index in range(args.start, args.start + args.count):
        key = None if args.keys == 0 else f"key-{index % args.keys}"
        message = write(event(index, args.mode, data[index % len(data)], key), FORMAT)
        producer.produce(
            args.topic,
            key=message.key,
            value=message.value,
            headers=list(message.headers.items()),
            on_delivery=report(message),
        )
        producer.poll(0)
    left = producer.flush(60)
    if left or failed:
        raise SystemExit(f"{left} events without a report, {len(failed)} refused: {failed[:3]}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first event's number")
    parser.add_argument("--mode", choices=["binary", "structured"], default="binary")
    parser.add_argument("--data", choices=[*KINDS, "all", "edges", "every"], default="all")
    parser.add_argument("--keys", type=int, default=3, help="how many keys take turns; 0: no key")
    return parser.parse_args()


main()
