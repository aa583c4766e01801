"""What kafka-python can do with a broker: `pure.py BOOTSTRAP [FEATURE...]`."""

import functools
import logging

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.errors import (
    InvalidProducerEpochError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata

from features import (
    HEADERS,
    MINUTE_MS,
    PATIENCE_SECONDS,
    Cannot,
    check,
    hour_ago_ms,
    noise,
    numbered,
    run,
    until,
    value,
    wanted,
)

# What is expected to fail is told by exceptions, too.
logging.disable(logging.CRITICAL)


@functools.cache
def admin(bootstrap):
    return KafkaAdminClient(bootstrap_servers=bootstrap)


def create_topic(bootstrap, topic, partitions=1, configs=None):
    options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}
    admin(bootstrap).create_topics({topic: options})


def producer(bootstrap, **more):
    return KafkaProducer(bootstrap_servers=bootstrap, **more)


def produce(bootstrap, topic, records, **more):
    client = producer(bootstrap, **more)
    try:
        send_all(client, topic, records)
    finally:
        client.close(timeout=5)


def send_all(client, topic, records):
    """(key, value), (key, value, headers) or (key, value, headers, timestamp)."""
    sent = []
    for record in records:
        key, payload, headers, timestamp = (*record, None, None)[:4]
        sent.append(
            client.send(topic, payload, key, headers=headers or [], timestamp_ms=timestamp)
        )
    client.flush(PATIENCE_SECONDS)
    for one in sent:
        one.get(PATIENCE_SECONDS)


def consumer(bootstrap, *topics, **more):
    given = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **more}
    return KafkaConsumer(*topics, bootstrap_servers=bootstrap, **given)


def read(bootstrap, topic, count, **more):
    """The first records of a topic of one partition."""
    client = consumer(bootstrap, **more)
    client.assign([TopicPartition(topic, 0)])
    try:
        return poll(client, count)
    finally:
        client.close()


def poll(client, count):
    records = []

    def enough():
        for batch in client.poll(timeout_ms=100).values():
            records.extend(batch)
        return len(records) >= count

    until(f"{count} records", enough)
    return records


def codec(name):
    def try_it(bootstrap):
        topic = f"codec-{name}"
        create_topic(bootstrap, topic)
        sent = numbered(200)
        compression = None if name == "none" else name
        produce(bootstrap, topic, sent, compression_type=compression, linger_ms=20)
        found = [(one.key, one.value) for one in read(bootstrap, topic, len(sent))]
        check(found == sent, "other records came back")

    return try_it


def headers(bootstrap):
    create_topic(bootstrap, "headers")
    # It refuses to send headers without a value.
    sent = [header for header in HEADERS if header[1] is not None]
    produce(bootstrap, "headers", [(None, b"no key", sent), (b"tombstone", None)])
    first, second = read(bootstrap, "headers", 2)
    check(list(first.headers) == sent, f"headers came back as {first.headers}")
    check(first.key is None and second.value is None, "null is not null")


def large_record(bootstrap):
    create_topic(bootstrap, "large", configs={"max.message.bytes": "10000000"})
    sent = noise(5_000_000)
    produce(bootstrap, "large", [(None, sent)], max_request_size=9_000_000)
    found = read(bootstrap, "large", 1, max_partition_fetch_bytes=100_000)
    check(found[0].value == sent, "other bytes came back")


def refused(errors, attempt):
    try:
        attempt()
    except errors:
        return
    raise AssertionError("it was not refused")


def too_large(bootstrap):
    create_topic(bootstrap, "too-large")
    records = [(None, noise(2_000_000))]
    refused(
        MessageSizeTooLargeError,
        lambda: produce(bootstrap, "too-large", records, max_request_size=9_000_000),
    )


def idempotent(bootstrap):
    create_topic(bootstrap, "idempotent")
    sent = numbered(500)
    produce(bootstrap, "idempotent", sent, enable_idempotence=True, batch_size=4_000)
    found = [(one.key, one.value) for one in read(bootstrap, "idempotent", 500)]
    check(found == sent, "other records came back")


def transactional(bootstrap, name):
    client = producer(bootstrap, transactional_id=name)
    client.init_transactions()
    return client


def end(client, commits):
    if commits:
        client.commit_transaction()
    else:
        client.abort_transaction()


def transactions(bootstrap):
    create_topic(bootstrap, "transactions")
    client = transactional(bootstrap, "transactions")
    for commits in (True, False, True):
        client.begin_transaction()
        send_all(client, "transactions", numbered(10))
        end(client, commits)
    client.close()
    read(bootstrap, "transactions", 30)
    found = read(bootstrap, "transactions", 20, isolation_level="read_committed")
    check(found[10].offset == 22, f"the eleventh is at {found[10].offset}")


def grouped(bootstrap, group, *topics, **more):
    return consumer(bootstrap, *topics, group_id=group, heartbeat_interval_ms=200, **more)


def transaction_offsets(bootstrap):
    create_topic(bootstrap, "copy-from")
    create_topic(bootstrap, "copy-to")
    produce(bootstrap, "copy-from", numbered(50))
    place = TopicPartition("copy-from", 0)
    source = grouped(bootstrap, "copy", "copy-from", isolation_level="read_committed")
    target = transactional(bootstrap, "copy")
    records = poll(source, 50)
    for number, commits in ((10, True), (20, False), (20, True), (50, True)):
        at = source.committed(place) or 0
        target.begin_transaction()
        for record in records[at:number]:
            target.send("copy-to", record.value)
        offsets = {place: OffsetAndMetadata(number, "", -1)}
        target.send_offsets_to_transaction(offsets, source.group_metadata())
        end(target, commits)
    at = source.committed(place)
    source.close()
    target.close()
    check(at == 50, f"offset {at} is committed")
    found = read(bootstrap, "copy-to", 50, isolation_level="read_committed")
    check([one.value for one in found] == [value(i) for i in range(50)], "copied otherwise")


def transaction_fencing(bootstrap):
    create_topic(bootstrap, "fencing")
    older = transactional(bootstrap, "fencing")
    older.begin_transaction()
    send_all(older, "fencing", [(None, b"older")])
    newer = transactional(bootstrap, "fencing")
    newer.begin_transaction()
    send_all(newer, "fencing", [(None, b"newer")])
    newer.commit_transaction()
    newer.close()
    refused((ProducerFencedError, InvalidProducerEpochError), older.commit_transaction)
    older.close(timeout=1)


def shares(*clients):
    """How many partitions each has, after a poll of each."""
    for client in clients:
        client.poll(timeout_ms=50)
    return [len(client.assignment()) for client in clients]


def group_rebalance(bootstrap):
    create_topic(bootstrap, "rebalance", 4)
    first = grouped(bootstrap, "rebalance", "rebalance")
    until("one member has all", lambda: shares(first) == [4])
    second = grouped(bootstrap, "rebalance", "rebalance")
    until("two members have two each", lambda: shares(first, second) == [2, 2])
    second.close()
    until("the one that is left has all", lambda: shares(first) == [4])
    first.close()


def group_resume(bootstrap):
    create_topic(bootstrap, "resume")
    produce(bootstrap, "resume", numbered(100))
    for start, stop in ((0, 40), (40, 100)):
        client = grouped(bootstrap, "resume", "resume")
        records = poll(client, stop - start)
        check(records[0].value == value(start), f"it went on at {records[0].offset}")
        client.commit({TopicPartition("resume", 0): OffsetAndMetadata(stop, "", -1)})
        client.close()


def static_member(bootstrap):
    create_topic(bootstrap, "static", 4)

    def start(instance):
        return grouped(bootstrap, "static", "static", group_instance_id=instance)

    first, second = start("one"), start("two")
    until("two members have two each", lambda: shares(first, second) == [2, 2])
    before = second.assignment()
    second.close()
    again = start("two")
    until("the member is back", lambda: shares(first, again) == [2, 2])
    check(again.assignment() == before, f"{before} became {again.assignment()}")
    first.close()
    again.close()


def no_new_groups(_bootstrap):
    raise Cannot("it has the classic protocol only")


def offsets_by_time(bootstrap):
    create_topic(bootstrap, "times")
    start = hour_ago_ms()
    records = [(None, value(i), None, start + i * MINUTE_MS) for i in range(10)]
    produce(bootstrap, "times", records)
    place = TopicPartition("times", 0)
    client = consumer(bootstrap)
    for asked, expected in (
        (start, 0),
        (start + 3 * MINUTE_MS, 3),
        (start + 3 * MINUTE_MS + 1, 4),
        (start + 60 * MINUTE_MS, None),
    ):
        found = client.offsets_for_times({place: asked})[place]
        offset = found and found.offset
        check(offset == expected, f"{expected} wanted, {offset} found")
    first = client.beginning_offsets([place])[place]
    last = client.end_offsets([place])[place]
    check((first, last) == (0, 10), f"start {first}, end {last}")
    client.close()
    asked = {place: OffsetSpec.MAX_TIMESTAMP}
    largest = admin(bootstrap).list_partition_offsets(asked)[place].offset
    check(largest == 9, f"largest timestamp at {largest}")


def delete_records(bootstrap):
    create_topic(bootstrap, "delete-records")
    produce(bootstrap, "delete-records", numbered(20))
    admin(bootstrap).delete_records({TopicPartition("delete-records", 0): 15})
    found = read(bootstrap, "delete-records", 5)
    check(found[0].offset == 15, f"the first record is at {found[0].offset}")


def admin_topics(bootstrap):
    client = admin(bootstrap)
    create_topic(bootstrap, "made", 2, {"retention.ms": "86400000"})
    refused(TopicAlreadyExistsError, lambda: create_topic(bootstrap, "made", 2))
    client.create_partitions({"made": 5})
    found = len(client.describe_topics(["made"])[0]["partitions"])
    check(found == 5, f"{found} partitions after they became five")
    client.delete_topics(["made"])
    refused(UnknownTopicOrPartitionError, lambda: client.delete_topics(["made"]))


def admin_configs(bootstrap):
    create_topic(bootstrap, "configs")
    client = admin(bootstrap)
    for change, expected in ((("SET", "3600000"), "3600000"), (("DELETE", None), "604800000")):
        client.alter_configs([ConfigResource("TOPIC", "configs", {"retention.ms": change})])
        asked = [ConfigResource("TOPIC", "configs", None)]
        described = client.describe_configs(asked, config_filter="all")
        (configs,) = next(iter(described.values())).values()
        after = configs["retention.ms"]["value"]
        check(after == expected, f"retention.ms is {after}")


def admin_groups(bootstrap):
    create_topic(bootstrap, "groups", 2)
    client = admin(bootstrap)
    member = grouped(bootstrap, "groups", "groups")
    until("the member has all", lambda: shares(member) == [2])
    described = client.describe_groups(["groups"])["groups"]
    check("Stable" in str(described), f"the group is {described}")
    member.close()
    check("groups" in str(client.list_groups()), "the group is not listed")
    place = TopicPartition("groups", 1)
    client.alter_group_offsets("groups", {place: OffsetAndMetadata(8, "", -1)})
    offset = client.list_group_offsets("groups")["groups"][place].offset
    check(offset == 8, f"offset {offset} is committed")
    client.delete_groups(["groups"])
    check("groups" not in str(client.list_groups()), "the group is still listed")


def admin_cluster(bootstrap):
    described = admin(bootstrap).describe_cluster()
    check(len(described["brokers"]) == 1 and described["cluster_id"], f"{described}")


TABLE = {
    **{f"codec-{name}": codec(name) for name in ("none", "gzip", "snappy", "lz4", "zstd")},
    "headers": headers,
    "large-record": large_record,
    "too-large-refused": too_large,
    "idempotent": idempotent,
    "transactions": transactions,
    "transaction-offsets": transaction_offsets,
    "transaction-fencing": transaction_fencing,
    "group-rebalance": group_rebalance,
    "group-resume": group_resume,
    "static-member": static_member,
    "new-group-rebalance": no_new_groups,
    "new-group-resume": no_new_groups,
    "offsets-by-time": offsets_by_time,
    "delete-records": delete_records,
    "admin-topics": admin_topics,
    "admin-configs": admin_configs,
    "admin-groups": admin_groups,
    "admin-cluster": admin_cluster,
}

run(*wanted(), TABLE)
