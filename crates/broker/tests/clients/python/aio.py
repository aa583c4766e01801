"""What aiokafka can do with a broker: `aio.py BOOTSTRAP [FEATURE...]`."""

import asyncio
import contextlib
import logging
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidProducerEpoch,
    MessageSizeTooLargeError,
    ProducerFenced,
    TopicAlreadyExistsError,
    for_code,
)

from features import (
    HEADERS,
    MINUTE_MS,
    PATIENCE_SECONDS,
    Cannot,
    check,
    hour_ago_ms,
    noise,
    numbered,
    report,
    value,
    wanted,
)

# What is expected to fail is told by exceptions, too.
logging.disable(logging.CRITICAL)


@contextlib.asynccontextmanager
async def started(client):
    await client.start()
    try:
        yield client
    finally:
        stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
        await stop()


def producer(bootstrap, **more):
    return started(AIOKafkaProducer(bootstrap_servers=bootstrap, **more))


def consumer(bootstrap, *topics, **more):
    return started(AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **more))


def admin(bootstrap):
    return started(AIOKafkaAdminClient(bootstrap_servers=bootstrap))


def raise_first(answer):
    """Topics' errors are in the answer, and nobody raises them."""
    for one in answer.topic_errors:
        if one[1] != 0:
            raise for_code(one[1])(str(one))


async def create_topic(bootstrap, topic, partitions=1, configs=None):
    async with admin(bootstrap) as client:
        new = NewTopic(topic, partitions, 1, topic_configs=configs or {})
        raise_first(await client.create_topics([new]))


async def produce(bootstrap, topic, records, **more):
    async with producer(bootstrap, **more) as client:
        await send_all(client, topic, records)


async def send_all(client, topic, records):
    """(key, value), (key, value, headers) or (key, value, headers, timestamp)."""
    sent = []
    for record in records:
        key, payload, headers, timestamp = (*record, None, None)[:4]
        sent.append(
            await client.send(topic, payload, key, headers=headers, timestamp_ms=timestamp)
        )
    await asyncio.gather(*sent)


async def read(bootstrap, topic, count, **more):
    """The first records of a topic of one partition."""
    async with consumer(bootstrap, **more) as client:
        place = TopicPartition(topic, 0)
        client.assign([place])
        await client.seek_to_beginning(place)
        return await poll(client, count)


async def poll(client, count):
    return [await client.getone() for _ in range(count)]


async def until(what, holds):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        check(time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}")
        await asyncio.sleep(0.01)


def codec(name):
    async def try_it(bootstrap):
        topic = f"codec-{name}"
        await create_topic(bootstrap, topic)
        sent = numbered(200)
        compression = None if name == "none" else name
        await produce(bootstrap, topic, sent, compression_type=compression, linger_ms=20)
        found = [(one.key, one.value) for one in await read(bootstrap, topic, len(sent))]
        check(found == sent, "other records came back")

    return try_it


async def headers(bootstrap):
    await create_topic(bootstrap, "headers")
    await produce(bootstrap, "headers", [(None, b"no key", HEADERS), (b"tombstone", None)])
    first, second = await read(bootstrap, "headers", 2)
    check(list(first.headers) == HEADERS, f"headers came back as {first.headers}")
    check(first.key is None and second.value is None, "null is not null")


async def large_record(bootstrap):
    await create_topic(bootstrap, "large", configs={"max.message.bytes": "10000000"})
    sent = noise(5_000_000)
    await produce(bootstrap, "large", [(None, sent)], max_request_size=9_000_000)
    found = await read(bootstrap, "large", 1, max_partition_fetch_bytes=100_000)
    check(found[0].value == sent, "other bytes came back")


async def too_large(bootstrap):
    await create_topic(bootstrap, "too-large")
    try:
        await produce(
            bootstrap, "too-large", [(None, noise(2_000_000))], max_request_size=9_000_000
        )
    except MessageSizeTooLargeError:
        return
    raise AssertionError("it was taken")


async def idempotent(bootstrap):
    await create_topic(bootstrap, "idempotent")
    sent = numbered(500)
    await produce(bootstrap, "idempotent", sent, enable_idempotence=True, max_batch_size=4_000)
    found = [(one.key, one.value) for one in await read(bootstrap, "idempotent", 500)]
    check(found == sent, "other records came back")


async def transactions(bootstrap):
    await create_topic(bootstrap, "transactions")
    async with producer(bootstrap, transactional_id="transactions") as client:
        for commits in (True, False, True):
            await client.begin_transaction()
            await send_all(client, "transactions", numbered(10))
            if commits:
                await client.commit_transaction()
            else:
                await client.abort_transaction()
    await read(bootstrap, "transactions", 30)
    found = await read(bootstrap, "transactions", 20, isolation_level="read_committed")
    check(found[10].offset == 22, f"the eleventh is at {found[10].offset}")


async def transaction_offsets(bootstrap):
    await create_topic(bootstrap, "copy-from")
    await create_topic(bootstrap, "copy-to")
    await produce(bootstrap, "copy-from", numbered(50))
    place = TopicPartition("copy-from", 0)
    copying = grouped(bootstrap, "copy", "copy-from", isolation_level="read_committed")
    async with copying as source, producer(bootstrap, transactional_id="copy") as target:
        records = await poll(source, 50)
        for number, commits in ((10, True), (20, False), (20, True), (50, True)):
            await target.begin_transaction()
            at = await source.committed(place) or 0
            await send_all(target, "copy-to", [(None, one.value) for one in records[at:number]])
            await target.send_offsets_to_transaction({place: number}, "copy")
            if commits:
                await target.commit_transaction()
            else:
                await target.abort_transaction()
        at = await source.committed(place)
    check(at == 50, f"offset {at} is committed")
    found = await read(bootstrap, "copy-to", 50, isolation_level="read_committed")
    check([one.value for one in found] == [value(i) for i in range(50)], "copied otherwise")


async def transaction_fencing(bootstrap):
    await create_topic(bootstrap, "fencing")
    async with producer(bootstrap, transactional_id="fencing") as older:
        await older.begin_transaction()
        await older.send_and_wait("fencing", b"older")
        async with producer(bootstrap, transactional_id="fencing") as newer:
            await newer.begin_transaction()
            await newer.send_and_wait("fencing", b"newer")
            await newer.commit_transaction()
        try:
            await older.commit_transaction()
        except (ProducerFenced, InvalidProducerEpoch):
            return
    raise AssertionError("the older producer has committed")


def grouped(bootstrap, group, *topics, **more):
    given = {
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "heartbeat_interval_ms": 200,
        **more,
    }
    return consumer(bootstrap, *topics, **given)


def shares(*clients):
    return [len(client.assignment()) for client in clients]


async def group_rebalance(bootstrap):
    await create_topic(bootstrap, "rebalance", 4)
    async with grouped(bootstrap, "rebalance", "rebalance") as first:
        await until("one member has all", lambda: shares(first) == [4])
        async with grouped(bootstrap, "rebalance", "rebalance") as second:
            await until("two have two each", lambda: shares(first, second) == [2, 2])
        await until("the one that is left has all", lambda: shares(first) == [4])


async def group_resume(bootstrap):
    await create_topic(bootstrap, "resume")
    await produce(bootstrap, "resume", numbered(100))
    for start, count in ((0, 40), (40, 60)):
        async with grouped(bootstrap, "resume", "resume") as client:
            records = await poll(client, count)
            check(records[0].value == value(start), f"it went on at {records[0].offset}")
            await client.commit()


class Assignments(ConsumerRebalanceListener):
    """Counts how often something was assigned."""

    def __init__(self):
        self.count = 0

    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        self.count += 1


async def static_member(bootstrap):
    await create_topic(bootstrap, "static", 4)
    listener = Assignments()

    def member(instance):
        return grouped(bootstrap, "static", group_instance_id=instance)

    async with member("one") as first:
        first.subscribe(["static"], listener=listener)
        async with member("two") as second:
            second.subscribe(["static"])
            await until("two have two each", lambda: shares(first, second) == [2, 2])
            before, rebalances = second.assignment(), listener.count
        # A static member does not leave when it is closed.
        async with member("two") as again:
            again.subscribe(["static"])
            await until("the member is back", lambda: shares(again) == [2])
            check(again.assignment() == before, f"{before} became {again.assignment()}")
            check(listener.count == rebalances, "the others were disturbed")


async def no_new_groups(_bootstrap):
    raise Cannot("it has the classic protocol only")


async def offsets_by_time(bootstrap):
    await create_topic(bootstrap, "times")
    start = hour_ago_ms()
    records = [(None, value(i), None, start + i * MINUTE_MS) for i in range(10)]
    await produce(bootstrap, "times", records)
    place = TopicPartition("times", 0)
    async with consumer(bootstrap) as client:
        for asked, expected in (
            (start, 0),
            (start + 3 * MINUTE_MS, 3),
            (start + 3 * MINUTE_MS + 1, 4),
            (start + 60 * MINUTE_MS, None),
        ):
            found = (await client.offsets_for_times({place: asked}))[place]
            offset = found and found.offset
            check(offset == expected, f"{expected} wanted, {offset} found")
        first = (await client.beginning_offsets([place]))[place]
        end = (await client.end_offsets([place]))[place]
        check((first, end) == (0, 10), f"start {first}, end {end}")


async def delete_records(bootstrap):
    await create_topic(bootstrap, "delete-records")
    await produce(bootstrap, "delete-records", numbered(20))
    async with admin(bootstrap) as client:
        place = TopicPartition("delete-records", 0)
        deleted = await client.delete_records({place: RecordsToDelete(before_offset=15)})
        check(deleted[place] == 15, f"the log starts at {deleted[place]}")
    found = await read(bootstrap, "delete-records", 5)
    check(found[0].offset == 15, f"the first record is at {found[0].offset}")


async def admin_topics(bootstrap):
    async with admin(bootstrap) as client:
        new = NewTopic("made", 2, 1, topic_configs={"retention.ms": "86400000"})
        raise_first(await client.create_topics([new]))
        try:
            raise_first(await client.create_topics([new]))
        except TopicAlreadyExistsError:
            pass
        else:
            raise AssertionError("made again")
        await client.create_partitions({"made": NewPartitions(5)})
        (described,) = await client.describe_topics(["made"])
        found = len(described["partitions"])
        check(found == 5, f"{found} partitions after they became five")
        await client.delete_topics(["made"])
        check("made" not in await client.list_topics(), "it is still listed")


async def admin_configs(bootstrap):
    await create_topic(bootstrap, "configs")
    async with admin(bootstrap) as client:
        change = {"retention.ms": "3600000"}
        resource = ConfigResource(ConfigResourceType.TOPIC, "configs", configs=change)
        await client.alter_configs([resource])
        asked = ConfigResource(ConfigResourceType.TOPIC, "configs")
        (described,) = await client.describe_configs([asked])
        configs = {entry[0]: entry[1] for entry in described.resources[0][4]}
        after = configs["retention.ms"]
        check(after == "3600000", f"retention.ms is {after}")


async def admin_groups(bootstrap):
    await create_topic(bootstrap, "groups", 2)
    async with admin(bootstrap) as client:
        async with grouped(bootstrap, "groups", "groups") as member:
            await until("the member has all", lambda: shares(member) == [2])
            await member.commit({TopicPartition("groups", 1): 8})
            (described,) = await client.describe_consumer_groups(["groups"])
            state = described.groups[0][2]
            check(state == "Stable", f"the group is {state}")
        listed = [one[0] for one in await client.list_consumer_groups()]
        check("groups" in listed, "the group is not listed")
        offsets = await client.list_consumer_group_offsets("groups")
        offset = offsets[TopicPartition("groups", 1)].offset
        check(offset == 8, f"offset {offset} is committed")


async def admin_cluster(bootstrap):
    async with admin(bootstrap) as client:
        described = await client.describe_cluster()
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


async def main():
    bootstrap, names = wanted()
    for name in names:
        try:
            await asyncio.wait_for(TABLE[name](bootstrap), PATIENCE_SECONDS)
        except Exception as error:  # whatever a client may raise
            report(name, error)
        else:
            report(name, None)


asyncio.run(main())
