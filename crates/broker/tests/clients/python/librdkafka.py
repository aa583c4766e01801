"""What librdkafka can do with a broker, through confluent-kafka: `librdkafka.py BOOTSTRAP
[FEATURE...]`."""

import functools

import confluent_kafka as ck
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from features import (
    HEADERS,
    MINUTE_MS,
    PATIENCE_SECONDS,
    check,
    hour_ago_ms,
    noise,
    numbered,
    run,
    until,
    value,
    wanted,
)


def settings(bootstrap, **more):
    given = {"bootstrap.servers": bootstrap}
    given.update({name.replace("_", "."): value for name, value in more.items()})
    return given


@functools.cache
def admin(bootstrap):
    """One for all: its requests end with it."""
    return AdminClient(settings(bootstrap))


def done(futures):
    """The answers of requests for several things."""
    return {key: future.result(PATIENCE_SECONDS) for key, future in futures.items()}


def create_topic(bootstrap, topic, partitions=1, config=None):
    new = NewTopic(topic, partitions, 1, config=config or {})
    done(admin(bootstrap).create_topics([new]))


def code_of(error):
    return error.args[0].code()


def produce(bootstrap, topic, records, **more):
    """Sends (key, value), (key, value, headers) or (key, value, headers, timestamp)."""
    failures = []
    producer = ck.Producer(settings(bootstrap, **more))
    send_all(producer, topic, records, failures)
    check(producer.flush(PATIENCE_SECONDS) == 0, "not all is acknowledged")
    if failures:
        raise ck.KafkaException(failures[0])


def send_all(producer, topic, records, failures):
    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    for record in records:
        key, payload, headers, timestamp = (*record, None, None)[:4]
        producer.produce(
            topic,
            key=key,
            value=payload,
            headers=headers,
            timestamp=timestamp or 0,
            on_delivery=delivered,
        )
        producer.poll(0)


def read(bootstrap, topic, count, **more):
    """The first records of a topic of one partition."""
    consumer = ck.Consumer(
        settings(bootstrap, group_id="unused", enable_auto_commit=False, **more)
    )
    consumer.assign([ck.TopicPartition(topic, 0, ck.OFFSET_BEGINNING)])
    try:
        return poll(consumer, count)
    finally:
        consumer.close()


def poll(consumer, count):
    records = []

    def enough():
        message = consumer.poll(0.2)
        if message is not None:
            if message.error():
                raise ck.KafkaException(message.error())
            records.append(message)
        return len(records) >= count

    until(f"{count} records", enough)
    return records


def codec(name):
    def try_it(bootstrap):
        topic = f"codec-{name}"
        create_topic(bootstrap, topic)
        sent = numbered(200)
        produce(bootstrap, topic, sent, compression_type=name, linger_ms=50)
        found = [(one.key(), one.value()) for one in read(bootstrap, topic, len(sent))]
        check(found == sent, "other records came back")

    return try_it


def headers(bootstrap):
    create_topic(bootstrap, "headers")
    produce(bootstrap, "headers", [(None, b"no key", HEADERS), (b"tombstone", None)])
    first, second = read(bootstrap, "headers", 2)
    check(first.headers() == HEADERS, f"headers came back as {first.headers()}")
    check(first.key() is None and second.value() is None, "null is not null")


def large_record(bootstrap):
    create_topic(bootstrap, "large", config={"max.message.bytes": "10000000"})
    sent = noise(5_000_000)
    produce(bootstrap, "large", [(None, sent)], message_max_bytes=9_000_000)
    found = read(bootstrap, "large", 1, fetch_message_max_bytes=100_000)
    check(found[0].value() == sent, "other bytes came back")


def too_large(bootstrap):
    create_topic(bootstrap, "too-large")
    try:
        produce(bootstrap, "too-large", [(None, noise(2_000_000))], message_max_bytes=9_000_000)
    except ck.KafkaException as error:
        check(code_of(error) == ck.KafkaError.MSG_SIZE_TOO_LARGE, f"the answer was {error}")
        return
    raise AssertionError("it was taken")


def idempotent(bootstrap):
    create_topic(bootstrap, "idempotent")
    sent = numbered(500)
    more = {"enable_idempotence": True, "batch_num_messages": 20}
    produce(bootstrap, "idempotent", sent, **more)
    found = [(one.key(), one.value()) for one in read(bootstrap, "idempotent", 500)]
    check(found == sent, "other records came back")


def transactional(bootstrap, name):
    producer = ck.Producer(settings(bootstrap, transactional_id=name))
    producer.init_transactions(PATIENCE_SECONDS)
    return producer


def transactions(bootstrap):
    create_topic(bootstrap, "transactions")
    producer = transactional(bootstrap, "transactions")
    for commits in (True, False, True):
        producer.begin_transaction()
        failures = []
        send_all(producer, "transactions", numbered(10), failures)
        producer.flush(PATIENCE_SECONDS)
        check(not failures, f"{failures}")
        if commits:
            producer.commit_transaction(PATIENCE_SECONDS)
        else:
            producer.abort_transaction(PATIENCE_SECONDS)
    found = read(bootstrap, "transactions", 30, isolation_level="read_uncommitted")
    check(len(found) == 30, "not all is there")
    found = read(bootstrap, "transactions", 20, isolation_level="read_committed")
    check(found[10].offset() == 22, f"the eleventh is at {found[10].offset()}")


def transaction_offsets(bootstrap):
    create_topic(bootstrap, "copy-from")
    create_topic(bootstrap, "copy-to")
    produce(bootstrap, "copy-from", numbered(50))
    producer = transactional(bootstrap, "copy")
    consumer = grouped(bootstrap, "copy", False, isolation_level="read_committed")
    consumer.subscribe(["copy-from"])
    records = poll(consumer, 50)
    for number, commits in ((10, True), (20, False), (20, True), (50, True)):
        producer.begin_transaction()
        at = consumer.committed([ck.TopicPartition("copy-from", 0)], PATIENCE_SECONDS)[0].offset
        for record in records[max(at, 0) : number]:
            producer.produce("copy-to", value=record.value())
        position = [ck.TopicPartition("copy-from", 0, number)]
        group = consumer.consumer_group_metadata()
        producer.send_offsets_to_transaction(position, group, PATIENCE_SECONDS)
        if commits:
            producer.commit_transaction(PATIENCE_SECONDS)
        else:
            producer.abort_transaction(PATIENCE_SECONDS)
    at = consumer.committed([ck.TopicPartition("copy-from", 0)], PATIENCE_SECONDS)[0].offset
    consumer.close()
    check(at == 50, f"offset {at} is committed")
    found = read(bootstrap, "copy-to", 50, isolation_level="read_committed")
    check([one.value() for one in found] == [value(i) for i in range(50)], "copied otherwise")


def transaction_fencing(bootstrap):
    create_topic(bootstrap, "fencing")
    older = transactional(bootstrap, "fencing")
    older.begin_transaction()
    older.produce("fencing", value=b"older")
    older.flush(PATIENCE_SECONDS)
    newer = transactional(bootstrap, "fencing")
    newer.begin_transaction()
    newer.produce("fencing", value=b"newer")
    newer.commit_transaction(PATIENCE_SECONDS)
    try:
        older.commit_transaction(PATIENCE_SECONDS)
    except ck.KafkaException as error:
        fenced = (ck.KafkaError._FENCED, ck.KafkaError.INVALID_PRODUCER_EPOCH)
        check(code_of(error) in fenced, f"the older producer was told {error}")
        return
    raise AssertionError("the older producer has committed")


def grouped(bootstrap, group, new, **more):
    given = settings(
        bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        group_protocol="consumer" if new else "classic",
        **more,
    )
    if not new:
        given["heartbeat.interval.ms"] = 200
        given["partition.assignment.strategy"] = "cooperative-sticky"
    return ck.Consumer(given)


def prefix(new):
    return "new-" if new else ""


def shares(*consumers):
    """How many partitions each has, after a poll of each."""
    for consumer in consumers:
        consumer.poll(0.02)
    return [len(consumer.assignment()) for consumer in consumers]


def group_rebalance(new):
    def try_it(bootstrap):
        topic = prefix(new) + "rebalance"
        create_topic(bootstrap, topic, 4)
        first = grouped(bootstrap, topic, new)
        first.subscribe([topic])
        until("one member has all", lambda: shares(first) == [4])
        second = grouped(bootstrap, topic, new)
        second.subscribe([topic])
        until("two members have two each", lambda: shares(first, second) == [2, 2])
        second.close()
        until("the one that is left has all", lambda: shares(first) == [4])
        first.close()

    return try_it


def group_resume(new):
    def try_it(bootstrap):
        topic = prefix(new) + "resume"
        create_topic(bootstrap, topic)
        produce(bootstrap, topic, numbered(100))
        for start, count in ((0, 40), (40, 60)):
            consumer = grouped(bootstrap, topic, new)
            consumer.subscribe([topic])
            records = poll(consumer, count)
            check(records[0].value() == value(start), f"it went on at {records[0].offset()}")
            consumer.commit(message=records[-1], asynchronous=False)
            consumer.close()

    return try_it


def static_member(bootstrap):
    create_topic(bootstrap, "static", 4)

    def start(instance):
        consumer = grouped(bootstrap, "static", False, group_instance_id=instance)
        consumer.subscribe(["static"])
        return consumer

    first, second = start("one"), start("two")
    until("two members have two each", lambda: shares(first, second) == [2, 2])
    before = sorted(one.partition for one in second.assignment())
    second.close()
    again = start("two")
    until("the member is back", lambda: shares(first, again) == [2, 2])
    after = sorted(one.partition for one in again.assignment())
    check(before == after, f"{before} became {after}")
    first.close()
    again.close()


def offsets_by_time(bootstrap):
    create_topic(bootstrap, "times")
    start = hour_ago_ms()
    produce(
        bootstrap,
        "times",
        [(None, value(i), None, start + i * MINUTE_MS) for i in range(10)],
    )
    consumer = ck.Consumer(settings(bootstrap, group_id="unused"))
    for asked, expected in (
        (start, 0),
        (start + 3 * MINUTE_MS, 3),
        (start + 3 * MINUTE_MS + 1, 4),
        (start + 60 * MINUTE_MS, ck.OFFSET_END),
    ):
        place = ck.TopicPartition("times", 0, asked)
        offset = consumer.offsets_for_times([place], PATIENCE_SECONDS)[0].offset
        check(offset == expected, f"{expected} wanted, {offset} found")
    low, high = consumer.get_watermark_offsets(ck.TopicPartition("times", 0), PATIENCE_SECONDS)
    check((low, high) == (0, 10), f"start {low}, end {high}")
    consumer.close()
    asked = {ck.TopicPartition("times", 0): OffsetSpec.max_timestamp()}
    (largest,) = done(admin(bootstrap).list_offsets(asked)).values()
    check(largest.offset == 9, f"largest timestamp at {largest.offset}")


def delete_records(bootstrap):
    create_topic(bootstrap, "delete-records")
    produce(bootstrap, "delete-records", numbered(20))
    asked = [ck.TopicPartition("delete-records", 0, 15)]
    (deleted,) = done(admin(bootstrap).delete_records(asked)).values()
    check(deleted.low_watermark == 15, f"the log starts at {deleted.low_watermark}")
    found = read(bootstrap, "delete-records", 5)
    check(found[0].offset() == 15, f"the first record is at {found[0].offset()}")


def refused(futures, code):
    try:
        done(futures)
    except ck.KafkaException as error:
        check(code_of(error) == code, f"the answer was {error}")
        return
    raise AssertionError("it was not refused")


def admin_topics(bootstrap):
    client = admin(bootstrap)
    new = NewTopic("made", 2, 1, config={"retention.ms": "86400000"})
    done(client.create_topics([new]))
    refused(client.create_topics([new]), ck.KafkaError.TOPIC_ALREADY_EXISTS)
    done(client.create_partitions([NewPartitions("made", 5)]))
    found = len(client.list_topics("made", PATIENCE_SECONDS).topics["made"].partitions)
    check(found == 5, f"{found} partitions after they became five")
    (described,) = done(
        client.describe_topics(ck.TopicCollection(["made"]))
    ).values()
    check(len(described.partitions) == 5, "it is described otherwise")
    done(client.delete_topics(["made"]))
    refused(client.delete_topics(["made"]), ck.KafkaError.UNKNOWN_TOPIC_OR_PART)


def admin_configs(bootstrap):
    create_topic(bootstrap, "configs")
    client = admin(bootstrap)

    def found(kind=ConfigResource.Type.TOPIC, name="configs"):
        (configs,) = done(client.describe_configs([ConfigResource(kind, name)])).values()
        return configs

    def change(operation, text=None):
        entry = ConfigEntry("retention.ms", text, incremental_operation=operation)
        resource = ConfigResource(
            ConfigResource.Type.TOPIC, "configs", incremental_configs=[entry]
        )
        done(client.incremental_alter_configs([resource]))
        return found()["retention.ms"].value

    after = change(AlterConfigOpType.SET, "3600000")
    check(after == "3600000", f"retention.ms is {after}")
    after = change(AlterConfigOpType.DELETE)
    check(after == "604800000", f"retention.ms is {after}")
    older = ConfigResource(
        ConfigResource.Type.TOPIC, "configs", set_config={"retention.ms": "1800000"}
    )
    done(client.alter_configs([older]))
    after = found()["retention.ms"].value
    check(after == "1800000", f"retention.ms is {after}")
    node = next(iter(client.list_topics(timeout=PATIENCE_SECONDS).brokers))
    check(found(ConfigResource.Type.BROKER, str(node)), "no configs of the broker")


def admin_groups(bootstrap):
    create_topic(bootstrap, "groups", 2)
    client = admin(bootstrap)
    consumer = grouped(bootstrap, "groups", False)
    consumer.subscribe(["groups"])
    until("the member has all", lambda: shares(consumer) == [2])
    (described,) = done(client.describe_consumer_groups(["groups"])).values()
    stable = described.state == ck.ConsumerGroupState.STABLE
    check(stable and len(described.members) == 1, f"the group is {described.state}")
    consumer.close()
    listed = client.list_consumer_groups().result(PATIENCE_SECONDS).valid
    check(any(one.group_id == "groups" for one in listed), "the group is not listed")
    places = [ck.TopicPartition("groups", 0, 7), ck.TopicPartition("groups", 1, 8)]
    done(client.alter_consumer_group_offsets([ck.ConsumerGroupTopicPartitions("groups", places)]))
    asked = [ck.ConsumerGroupTopicPartitions("groups")]
    (offsets,) = done(client.list_consumer_group_offsets(asked)).values()
    offsets = sorted(one.offset for one in offsets.topic_partitions)
    check(offsets == [7, 8], f"offsets {offsets} are committed")
    done(client.delete_consumer_groups(["groups"]))
    refused(client.delete_consumer_groups(["groups"]), ck.KafkaError.GROUP_ID_NOT_FOUND)


def admin_cluster(bootstrap):
    described = admin(bootstrap).describe_cluster().result(PATIENCE_SECONDS)
    check(len(described.nodes) == 1 and described.cluster_id, f"{described.nodes}")


TABLE = {
    **{f"codec-{name}": codec(name) for name in ("none", "gzip", "snappy", "lz4", "zstd")},
    "headers": headers,
    "large-record": large_record,
    "too-large-refused": too_large,
    "idempotent": idempotent,
    "transactions": transactions,
    "transaction-offsets": transaction_offsets,
    "transaction-fencing": transaction_fencing,
    "group-rebalance": group_rebalance(False),
    "group-resume": group_resume(False),
    "static-member": static_member,
    "new-group-rebalance": group_rebalance(True),
    "new-group-resume": group_resume(True),
    "offsets-by-time": offsets_by_time,
    "delete-records": delete_records,
    "admin-topics": admin_topics,
    "admin-configs": admin_configs,
    "admin-groups": admin_groups,
    "admin-cluster": admin_cluster,
}

run(*wanted(), TABLE)
