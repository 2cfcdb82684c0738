"""Reads CloudEvents from the beginning of a Kafka topic, and prints each one with `key`, `headers` (a list of pairs,
values in base64 or null), `partition` and `offset`. Fails where there are too few in time, or where one is none."""

import argparse
import base64
import time

from cloudevents.core.bindings import kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from common import FORMAT, describe


def main():
    args = arguments()
    consumer = Consumer({"bootstrap.servers": args.brokers, "group.id": "rig-consume", "enable.auto.commit": False})
    partitions = consumer.list_topics(args.topic, timeout=30).topics[args.topic].partitions
    consumer.assign([TopicPartition(args.topic, number, OFFSET_BEGINNING) for number in partitions])
    end = time.monotonic() + args.seconds
    for taken in range(args.count):
        record = consumer.poll(max(0.0, end - time.monotonic()))
        if record is None:
            raise SystemExit(f"{taken} of {args.count} events in {args.topic} within {args.seconds} s")
        if record.error():
            raise SystemExit(str(record.error()))
        show(record)
    consumer.close()


def show(record):
    headers = record.headers() or []
    # The SDK takes a dictionary: a null value or a repeated name is lost on it, so the list is printed beside.
    message = kafka.KafkaMessage({name: value for name, value in headers if value is not None}, record.key(), record.value())
    describe(
        kafka.from_kafka(message, FORMAT),
        record.value(),
        key=None if record.key() is None else record.key().decode(),
        headers=[[name, None if value is None else base64.b64encode(value).decode()] for name, value in headers],
        partition=record.partition(),
        offset=record.offset(),
    )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    return parser.parse_args()


main()
