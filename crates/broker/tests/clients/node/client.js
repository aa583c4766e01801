// What kafkajs can do with a broker: `node client.js BOOTSTRAP [FEATURE...]` prints one line for
// each feature: `FEATURE ok`, `FEATURE cannot: REASON` or `FEATURE failed: REASON`.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import zstd from '@bokuweb/zstd-wasm'
import kafkajs from 'kafkajs'
import lz4 from 'lz4-napi'
import snappy from 'snappy'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs

const PATIENCE_MS = 40_000
const MINUTE_MS = 60_000

// kafkajs itself has gzip only; the others are what its users plug in.
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: (encoder) => snappy.compress(encoder.buffer),
  decompress: (buffer) => snappy.uncompress(buffer, { asBuffer: true }),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (buffer) => lz4.decompressFrame(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(zstd.compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from(zstd.decompress(buffer)),
})

await zstd.init()

const bootstrap = process.argv[2]
const kafka = new Kafka({
  clientId: 'kafkajs',
  brokers: [bootstrap],
  logLevel: logLevel.NOTHING,
})

/** The client does not have this feature. */
class Cannot extends Error {}

const value = (number) => `value-${number} ` + 'again and '.repeat(20)

const numbered = (count) =>
  Array.from({ length: count }, (_, number) => ({ key: `key-${number}`, value: value(number) }))

/** Bytes that do not compress, the same each time. */
function noise(length) {
  const blocks = []
  for (let number = 0; number * 64 < length; number++) {
    blocks.push(createHash('sha512').update(String(number)).digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

async function connected(client, use) {
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.disconnect()
  }
}

const admin = (use) => connected(kafka.admin(), use)

const createTopic = (topic, numPartitions = 1, configEntries = []) =>
  admin((client) => client.createTopics({ topics: [{ topic, numPartitions, configEntries }] }))

const produce = (topic, messages, compression = CompressionTypes.None, options = {}) =>
  connected(kafka.producer(options), (client) => client.send({ topic, messages, compression }))

async function until(what, holds) {
  const deadline = Date.now() + PATIENCE_MS
  while (!holds()) {
    assert(Date.now() < deadline, `not within ${PATIENCE_MS} ms: ${what}`)
    await pause(10)
  }
}

const groupConsumer = (groupId, options = {}) =>
  kafka.consumer({ groupId, heartbeatInterval: 200, sessionTimeout: 10_000, ...options })

let readers = 0

/** The first records of a topic; kafkajs reads in groups only, so each reader is one. */
const read = (topic, count, options = {}) =>
  connected(groupConsumer(`reader-${readers++}`, { maxWaitTimeInMs: 100, ...options }),
    async (client) => {
      await client.subscribe({ topic, fromBeginning: true })
      const found = []
      await client.run({
        autoCommit: false,
        eachMessage: async ({ message }) => { found.push(message) },
      })
      await until(`${count} records`, () => found.length >= count)
      return found
    })

function sameAs(sent, found) {
  assert.equal(found.length, sent.length)
  sent.forEach((message, number) => {
    assert.equal(found[number].key.toString(), message.key)
    assert.equal(found[number].value.toString(), message.value)
    assert.equal(found[number].offset, String(number))
  })
}

const codec = (name, type) => async () => {
  const topic = `codec-${name}`
  await createTopic(topic)
  const sent = numbered(200)
  await produce(topic, sent, type)
  sameAs(sent, await read(topic, sent.length))
}

async function headers() {
  await createTopic('headers')
  await produce('headers', [
    { key: null, value: 'no key', headers: { a: ['1', '2'], empty: '' } },
    { key: 'tombstone', value: null },
  ])
  const [first, second] = await read('headers', 2)
  assert.equal(first.key, null)
  assert.equal(second.value, null)
  assert.deepEqual(first.headers.a.map(String), ['1', '2'])
  assert.equal(first.headers.empty.toString(), '')
}

async function largeRecord() {
  await createTopic('large', 1, [{ name: 'max.message.bytes', value: '10000000' }])
  const sent = noise(5_000_000)
  await produce('large', [{ value: sent }])
  const [found] = await read('large', 1, { maxBytesPerPartition: 100_000 })
  assert(sent.equals(found.value), 'other bytes came back')
}

async function tooLarge() {
  await createTopic('too-large')
  await assert.rejects(produce('too-large', [{ value: noise(2_000_000) }]),
    (error) => error.type === 'MESSAGE_TOO_LARGE')
}

async function idempotent() {
  await createTopic('idempotent')
  const sent = numbered(500)
  await connected(kafka.producer({ idempotent: true, maxInFlightRequests: 1 }), async (client) => {
    for (let start = 0; start < sent.length; start += 50) {
      await client.send({ topic: 'idempotent', messages: sent.slice(start, start + 50), acks: -1 })
    }
  })
  sameAs(sent, await read('idempotent', sent.length))
}

const transactional = (transactionalId) =>
  kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 })

async function transactions() {
  await createTopic('transactions')
  await connected(transactional('transactions'), async (client) => {
    for (const commits of [true, false, true]) {
      const transaction = await client.transaction()
      await transaction.send({ topic: 'transactions', messages: numbered(10) })
      await (commits ? transaction.commit() : transaction.abort())
    }
  })
  await read('transactions', 30, { readUncommitted: true })
  const found = await read('transactions', 20)
  assert.equal(found[10].offset, '22')
}

async function transactionOffsets() {
  await createTopic('copy-from')
  await createTopic('copy-to')
  await produce('copy-from', numbered(50))
  const records = await read('copy-from', 50)
  const committed = async () => {
    const [topic] = await admin((client) =>
      client.fetchOffsets({ groupId: 'copy', topics: ['copy-from'] }))
    return Number(topic.partitions[0].offset)
  }
  await connected(transactional('copy'), async (client) => {
    for (const [end, commits] of [[10, true], [20, false], [20, true], [50, true]]) {
      const start = Math.max(await committed(), 0)
      const transaction = await client.transaction()
      const messages = records.slice(start, end).map((message) => ({ value: message.value }))
      await transaction.send({ topic: 'copy-to', messages })
      const partitions = [{ partition: 0, offset: String(end) }]
      await transaction.sendOffsets({
        consumerGroupId: 'copy',
        topics: [{ topic: 'copy-from', partitions }],
      })
      await (commits ? transaction.commit() : transaction.abort())
    }
  })
  assert.equal(await committed(), 50)
  const found = await read('copy-to', 50)
  assert.deepEqual(found.map((one) => one.value.toString()), numbered(50).map((one) => one.value))
}

async function transactionFencing() {
  await createTopic('fencing')
  await connected(transactional('fencing'), async (older) => {
    const first = await older.transaction()
    await first.send({ topic: 'fencing', messages: [{ value: 'older' }] })
    await connected(transactional('fencing'), async (newer) => {
      const second = await newer.transaction()
      await second.send({ topic: 'fencing', messages: [{ value: 'newer' }] })
      await second.commit()
    })
    await assert.rejects(first.commit(),
      (error) => ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH'].includes(error.type))
  })
}

/** A member that tells how many partitions it has. */
async function member(groupId, topic) {
  const client = groupConsumer(groupId, { rebalanceTimeout: 10_000, maxWaitTimeInMs: 100 })
  let share = 0
  client.on(client.events.GROUP_JOIN, ({ payload }) => {
    share = (payload.memberAssignment[topic] ?? []).length
  })
  await client.connect()
  await client.subscribe({ topic, fromBeginning: true })
  await client.run({ eachMessage: async () => {} })
  return { share: () => share, leave: () => client.disconnect() }
}

async function groupRebalance() {
  await createTopic('rebalance', 4)
  const first = await member('rebalance', 'rebalance')
  await until('one member has all', () => first.share() === 4)
  const second = await member('rebalance', 'rebalance')
  await until('two have two each', () => first.share() === 2 && second.share() === 2)
  await second.leave()
  await until('the one that is left has all', () => first.share() === 4)
  await first.leave()
}

async function groupResume() {
  await createTopic('resume')
  await produce('resume', numbered(100))
  for (const [start, end] of [[0, 40], [40, 100]]) {
    await connected(groupConsumer('resume', { maxWaitTimeInMs: 100 }), async (client) => {
      await client.subscribe({ topic: 'resume', fromBeginning: true })
      const found = []
      await client.run({
        autoCommit: false,
        eachMessage: async ({ message }) => { found.push(message) },
      })
      await until('records', () => found.length >= end - start)
      assert.equal(found[0].offset, String(start))
      await client.commitOffsets([{ topic: 'resume', partition: 0, offset: String(end) }])
    })
  }
}

const cannot = (reason) => async () => { throw new Cannot(reason) }

async function offsetsByTime() {
  await createTopic('times')
  const start = Date.now() - 60 * MINUTE_MS
  const messages = numbered(10).map((message, number) =>
    ({ ...message, timestamp: String(start + number * MINUTE_MS) }))
  await produce('times', messages)
  await admin(async (client) => {
    // Nothing is later than the last: kafkajs gives the end.
    for (const [time, expected] of [[start, '0'], [start + 3 * MINUTE_MS, '3'],
      [start + 3 * MINUTE_MS + 1, '4'], [start + 60 * MINUTE_MS, '10']]) {
      const [found] = await client.fetchTopicOffsetsByTimestamp('times', time)
      assert.equal(found.offset, expected)
    }
    const [{ low, high }] = await client.fetchTopicOffsets('times')
    assert.deepEqual([low, high], ['0', '10'])
  })
}

async function deleteRecords() {
  await createTopic('delete-records')
  await produce('delete-records', numbered(20))
  const partitions = [{ partition: 0, offset: '15' }]
  await admin(async (client) => {
    // It does not ask where the topic is by itself.
    await client.fetchTopicOffsets('delete-records')
    await client.deleteTopicRecords({ topic: 'delete-records', partitions })
  })
  const [first] = await read('delete-records', 5)
  assert.equal(first.offset, '15')
}

async function adminTopics() {
  await admin(async (client) => {
    const configEntries = [{ name: 'retention.ms', value: '86400000' }]
    const topics = [{ topic: 'made', numPartitions: 2, configEntries }]
    assert.equal(await client.createTopics({ topics }), true)
    assert.equal(await client.createTopics({ topics }), false, 'made again')
    await client.createPartitions({ topicPartitions: [{ topic: 'made', count: 5 }] })
    const described = await client.fetchTopicMetadata({ topics: ['made'] })
    assert.equal(described.topics[0].partitions.length, 5)
    await client.deleteTopics({ topics: ['made'] })
    assert(!(await client.listTopics()).includes('made'), 'it is still listed')
  })
}

async function adminConfigs() {
  await createTopic('configs')
  await admin(async (client) => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: 'configs' }
    const configEntries = [{ name: 'retention.ms', value: '3600000' }]
    await client.alterConfigs({ resources: [{ ...resource, configEntries }] })
    const described = await client.describeConfigs({ resources: [resource] })
    const entries = described.resources[0].configEntries
    const found = entries.find((entry) => entry.configName === 'retention.ms')
    assert.equal(found.configValue, '3600000')
  })
}

async function adminGroups() {
  await createTopic('groups', 2)
  const one = await member('groups', 'groups')
  await until('the member has all', () => one.share() === 2)
  await admin(async (client) => {
    const described = await client.describeGroups(['groups'])
    assert.equal(described.groups[0].state, 'Stable')
    await one.leave()
    const listed = await client.listGroups()
    assert(listed.groups.some((group) => group.groupId === 'groups'), 'it is not listed')
    const partitions = [{ partition: 1, offset: '8' }]
    await client.setOffsets({ groupId: 'groups', topic: 'groups', partitions })
    const [topic] = await client.fetchOffsets({ groupId: 'groups', topics: ['groups'] })
    assert.equal(topic.partitions.find((one) => one.partition === 1).offset, '8')
    await client.deleteGroups(['groups'])
    await assert.rejects(client.deleteGroups(['groups']))
  })
}

async function adminCluster() {
  const described = await admin((client) => client.describeCluster())
  assert.equal(described.brokers.length, 1)
  assert(described.clusterId)
}

const FEATURES = {
  'codec-none': codec('none', CompressionTypes.None),
  'codec-gzip': codec('gzip', CompressionTypes.GZIP),
  'codec-snappy': codec('snappy', CompressionTypes.Snappy),
  'codec-lz4': codec('lz4', CompressionTypes.LZ4),
  'codec-zstd': codec('zstd', CompressionTypes.ZSTD),
  headers,
  'large-record': largeRecord,
  'too-large-refused': tooLarge,
  idempotent,
  transactions,
  'transaction-offsets': transactionOffsets,
  'transaction-fencing': transactionFencing,
  'group-rebalance': groupRebalance,
  'group-resume': groupResume,
  'static-member': cannot('it has no static members'),
  'new-group-rebalance': cannot('it has the classic protocol only'),
  'new-group-resume': cannot('it has the classic protocol only'),
  'offsets-by-time': offsetsByTime,
  'delete-records': deleteRecords,
  'admin-topics': adminTopics,
  'admin-configs': adminConfigs,
  'admin-groups': adminGroups,
  'admin-cluster': adminCluster,
}

const wanted = process.argv.length > 3 ? process.argv.slice(3) : Object.keys(FEATURES)
for (const name of wanted) {
  try {
    await Promise.race([
      FEATURES[name](),
      pause(PATIENCE_MS, null, { ref: false }).then(() => assert.fail('it takes too long')),
    ])
    console.log(`${name} ok`)
  } catch (error) {
    const word = error instanceof Cannot ? 'cannot' : 'failed'
    console.log(`${name} ${word}: ${error.message.replaceAll(/\s+/g, ' ')}`)
  }
}
// What failed may have left something running.
process.exit(0)
