import { setTimeout as delay } from 'node:timers/promises'
import { createKafkaClient } from '@tendon/cdc/kafka-client.ts'
import { createKafkaWorld } from '@tendon/cdc/kafka-world.fixture.ts'
import { nobody } from '@tendon/cdc/known-tables.ts'
import type { World } from '@tendon/cdc/replica-of-source.fixture.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { readServerVersions } from '../embedded-servers.ts'
import { ownCpuSeconds, pssBytes, treeCpuSeconds } from '../processes.ts'
import { type Measurement, measured, measuredLatency } from '../results.ts'
import { stackPids } from '../stack-processes.ts'

const rates = [
  { perSecond: 1, seconds: 30, target: {} },
  { perSecond: 200, seconds: 20, target: { p99: { atMost: 300 } } },
  { perSecond: 2_000, seconds: 15, target: {} },
]
/** What 200 changes a second come to in ten minutes. */
const backlogRows = 120_000
const rowsOfTransaction = 200
const idleSeconds = 10
const arrivesWithinMs = 180_000

export const chainCase: BenchCase = {
  name: 'chain',
  title: 'the change feed by Debezium and Kafka, beside Debezium alone (needs the native stack)',
  timeoutMs: 600_000,
  needs: ['CRM_DATABASE_URL', 'KAFKA_BROKERS', 'KAFKA_CONNECT_URL'],
  run: measureChain,
}

const ddl = `CREATE TABLE ticks (id bigint PRIMARY KEY, v text NOT NULL, at timestamptz NOT NULL DEFAULT now())`
const entries = [{ name: 'public.ticks', users: nobody }]

const newestTick = defineQuery({
  name: 'bench-newest-tick',
  sql: 'SELECT max(id) AS id FROM crm.ticks',
  params: z.object({}),
  row: z.object({ id: z.coerce.number<string>() }),
})

const updatedTicks = defineQuery({
  name: 'bench-updated-ticks',
  sql: 'SELECT count() AS n FROM crm.ticks FINAL WHERE v = {v:String}',
  params: z.object({ v: z.string() }),
  row: z.object({ n: z.coerce.number<string>() }),
})

async function measureChain({ scope, log, say }: BenchContext) {
  const world = await createKafkaWorld(ddl, entries)
  scope.defer(() => world.close())
  const feed = world.newFeed()
  feed.start()
  await feed.caughtUp()

  const measurements: Measurement[] = []
  let nextId = 1
  for (const { perSecond, seconds, target } of rates) {
    say(`${perSecond} changes/s for ${seconds} s`)
    const { latenciesMs, behind } = await commitToVisible(world, nextId, perSecond, seconds)
    nextId += perSecond * seconds
    measurements.push(
      ...measuredLatency(`${perSecond} changes/s: commit → visible`, latenciesMs, target),
      measured(`${perSecond} changes/s: written`, behind, 'rows/s'),
    )
  }

  await feed.caughtUp()
  const pids = await stackPids()
  measurements.push(...(await idleCpu(pids)), ...(await memory(pids)))

  say(`${backlogRows.toLocaleString('en')} rows, and a backlog of as many changes`)
  await world.sql.query(
    `INSERT INTO ticks SELECT n, 'old' FROM generate_series($1::bigint, $1::bigint + $2 - 1) n`,
    [nextId, backlogRows],
  )
  await feed.caughtUp()
  const connect = connectorAt(process.env.KAFKA_CONNECT_URL!, world.slotName)
  await connect.pause()
  await changeInTransactions(world.sql, nextId, 'new')
  const kafka = createKafkaClient(process.env.KAFKA_BROKERS!.split(','), log)
  const admin = kafka.admin()
  await admin.connect()
  scope.defer(() => admin.disconnect())
  const topic = `${world.slotName}.public.ticks`

  // Debezium alone: the same connector, the same WAL, and nobody who reads the topic.
  await feed.stop()
  await world.warehouse.command('DETACH TABLE cdc.kafka_messages')
  const alone = await drained(connect, async () => endOf(await admin.fetchTopicOffsets(topic)), backlogRows)
  await world.warehouse.command('ATTACH TABLE cdc.kafka_messages')
  const second = world.newFeed()
  second.start()
  await second.caughtUp()

  await connect.pause()
  await changeInTransactions(world.sql, nextId, 'newer')
  const cpuBefore = await cpuOf(pids)
  const whole = await drainedTo(connect, async () => countUpdated(world.warehouse, 'newer'), backlogRows)
  const caughtUpFrom = performance.now()
  await second.caughtUp()
  const cpuAfter = await cpuOf(pids)
  measurements.push(
    measured('Debezium alone into Kafka', alone, 'rows/s'),
    measured('whole chain, until visible', whole, 'rows/s'),
    measured('whole chain against Debezium alone', whole / alone, '×', { atLeast: 0.9 }),
    measured('a backlog of ten minutes at 200 changes/s: until visible', backlogRows / whole, 's'),
    measured(
      'the same: until every user is told and the position stored, in addition',
      (performance.now() - caughtUpFrom) / 1000,
      's',
    ),
    ...[...cpuAfter].map(([name, after]) =>
      measured(`that backlog: CPU of ${name}`, after - (cpuBefore.get(name) ?? 0), 'CPU s'),
    ),
  )
  return { measurements, servers: await readServerVersions(world.sql, world.warehouse) }
}

/** Writes at a steady rate, one row a transaction, while a reader looks at what can be seen, again and again. */
async function commitToVisible(world: World, firstId: number, perSecond: number, seconds: number) {
  const committedAt: number[] = []
  const latenciesMs: number[] = []
  const total = perSecond * seconds
  const startedAt = performance.now()
  const writers = await Promise.all(
    Array.from({ length: Math.min(16, perSecond) }, () => connectTo(world.url)),
  )
  let next = 0
  const writing = writers.map(async (writer) => {
    for (let index = next++; index < total; index = next++) {
      const dueMs = startedAt + (index / perSecond) * 1000 - performance.now()
      if (dueMs > 0) await delay(dueMs)
      await writer.query(`INSERT INTO ticks (id, v) VALUES ($1, 'tick')`, [firstId + index])
      committedAt[index] = performance.now()
    }
  })
  const reading = (async () => {
    const seen = new Set<number>()
    while (seen.size < total) {
      const askedAt = performance.now()
      const [row] = await world.warehouse.query(newestTick, {})
      const answeredAt = performance.now()
      // Rows commit a little out of the order of their ids; what is not committed by our clock is counted the next time.
      for (let index = 0; index <= (row?.id ?? 0) - firstId; index++) {
        const at = committedAt[index]
        if (seen.has(index) || at === undefined) continue
        seen.add(index)
        latenciesMs.push(Math.max(0, answeredAt - at))
      }
      if (askedAt - startedAt > seconds * 1000 + arrivesWithinMs) throw new Error('Changes do not arrive.')
      await delay(2)
    }
  })()
  await Promise.all([...writing, reading])
  const tookSeconds = (performance.now() - startedAt) / 1000
  await Promise.all(writers.map((writer) => writer.end()))
  return { latenciesMs, behind: total / Math.max(seconds, tookSeconds) }
}

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

async function changeInTransactions(sql: pg.Client, firstId: number, v: string): Promise<void> {
  for (let from = firstId; from < firstId + backlogRows; from += rowsOfTransaction) {
    await sql.query('UPDATE ticks SET v = $1 WHERE id >= $2 AND id < $3', [v, from, from + rowsOfTransaction])
  }
}

function connectorAt(url: string, name: string) {
  const call = async (action: string) => {
    const response = await fetch(`${url}/connectors/${name}/${action}`, { method: 'PUT' })
    if (!response.ok) throw new Error(`Kafka Connect answered ${response.status} to ${action}.`)
  }
  const taskState = async (): Promise<string | undefined> => {
    const response = await fetch(`${url}/connectors/${name}/status`)
    return z.object({ tasks: z.array(z.object({ state: z.string() })) }).parse(await response.json()).tasks[0]
      ?.state
  }
  return {
    async pause() {
      await call('pause')
      while ((await taskState()) !== 'PAUSED') await delay(50)
    },
    resume: () => call('resume'),
  }
}

type PausedConnector = ReturnType<typeof connectorAt>

const endOf = (partitions: { high: string }[]) => partitions.reduce((sum, { high }) => sum + Number(high), 0)

/** From the first message that appears to the last. @returns rows a second */
async function drained(
  connector: PausedConnector,
  count: () => Promise<number>,
  rows: number,
): Promise<number> {
  const before = await count()
  return drainedTo(connector, async () => (await count()) - before, rows)
}

async function drainedTo(
  connector: PausedConnector,
  count: () => Promise<number>,
  rows: number,
): Promise<number> {
  await connector.resume()
  const resumedAt = performance.now()
  let startedAt: number | undefined
  for (;;) {
    const done = await count()
    const now = performance.now()
    if (done > 0) startedAt ??= now
    if (done >= rows) return rows / ((now - (startedAt ?? resumedAt)) / 1000)
    if (now - resumedAt > arrivesWithinMs) throw new Error(`${done} of ${rows} changes arrived.`)
    await delay(20)
  }
}

async function countUpdated(warehouse: Warehouse, v: string): Promise<number> {
  const [row] = await warehouse.query(updatedTicks, { v })
  return row?.n ?? 0
}

const chainParts = ['crm', 'kafka', 'connect']

async function cpuOf(pids: Map<string, number>): Promise<Map<string, number>> {
  const entriesOf = await Promise.all(
    chainParts.map(
      async (name): Promise<[string, number]> => [name, await treeCpuSeconds(pids.get(name) ?? 0)],
    ),
  )
  // ClickHouse is a child of this process, and the worker is this process.
  const own = await treeCpuSeconds(process.pid)
  return new Map([...entriesOf, ['worker', ownCpuSeconds()], ['clickhouse', own - ownCpuSeconds()]])
}

async function idleCpu(pids: Map<string, number>): Promise<Measurement[]> {
  const before = await cpuOf(pids)
  await delay(idleSeconds * 1000)
  const after = await cpuOf(pids)
  return [...after].map(([name, seconds]) =>
    measured(`idle: CPU of ${name} in ${idleSeconds} s`, seconds - (before.get(name) ?? 0), 'CPU s'),
  )
}

async function memory(pids: Map<string, number>): Promise<Measurement[]> {
  return Promise.all(
    ['kafka', 'connect'].map(async (name) =>
      measured(`memory of ${name}`, (await pssBytes(pids.get(name) ?? 0)) / 1e6, 'MB'),
    ),
  )
}
