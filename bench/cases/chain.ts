import { setTimeout as delay } from 'node:timers/promises'
import { nobody } from '@tendon/cdc/derive/known-tables.ts'
import { createKafkaClient } from '@tendon/cdc/kafka/kafka-client.ts'
import { createKafkaWorld } from '@tendon/cdc/kafka/kafka-world.fixture.ts'
import { cdcOptions } from '@tendon/cdc/options.ts'
import type { World } from '@tendon/cdc/suites/replica-of-source.fixture.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import pg from 'pg'
import { z } from 'zod'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { readServerVersions } from '../embedded-servers.ts'
import { ownCpuSeconds, processTree, pssBytes, treeCpuSeconds } from '../processes.ts'
import { type Measurement, measured, measuredLatency, measuredRepeatedly } from '../results.ts'
import { stackPids } from '../stack-processes.ts'

const rates = [
  { perSecond: 1, seconds: 30, target: {} },
  { perSecond: 200, seconds: 20, target: { p99: { atMost: 300 } } },
  { perSecond: 2_000, seconds: 15, target: {} },
]
/** What 200 changes a second come to in ten minutes. */
const backlogRows = 120_000
const rowsOfTransaction = 200
const repetitions = 3
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

const tickHasValue = defineQuery({
  name: 'bench-tick-has-value',
  sql: 'SELECT count() AS n FROM crm.ticks WHERE id = {id:UInt64} AND v = {v:String}',
  params: z.object({ id: z.int(), v: z.string() }),
  row: z.object({ n: z.coerce.number<string>() }),
})

async function measureChain({ scope, log, say }: BenchContext) {
  const world = await createKafkaWorld(ddl, entries, { pollIntervalMs: cdcOptions.pollIntervalMs.default })
  scope.defer(() => world.close())
  let feed = world.newFeed()
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
  measurements.push(...(await idleCpu(pids)), ...(await memory(pids, world.clickHouse.pid() ?? 0)))

  say(`${backlogRows.toLocaleString('en')} rows, and a backlog of as many changes`)
  await world.sql.query(
    `INSERT INTO ticks SELECT n, 'old' FROM generate_series($1::bigint, $1::bigint + $2 - 1) n`,
    [nextId, backlogRows],
  )
  await feed.caughtUp()
  const backlog = await openBacklog({ scope, log }, world, nextId)
  const alone: number[] = []
  const whole: number[] = []
  const addedSeconds: number[] = []
  const cpu = new Map<string, number[]>()
  for (let repetition = 0; repetition <= repetitions; repetition++) {
    const isWarmUp = repetition === 0
    // The same connector, the same WAL, and nobody who reads the topic.
    await feed.stop()
    await world.warehouse.command('DETACH TABLE cdc.kafka_messages')
    const ofAlone = await backlog.drain(backlog.inTopic)
    await world.warehouse.command('ATTACH TABLE cdc.kafka_messages')
    feed = world.newFeed()
    feed.start()
    await feed.caughtUp()

    const cpuBefore = await cpuOf(pids)
    const ofWhole = await backlog.drain(backlog.visible)
    const visibleAt = performance.now()
    await feed.caughtUp()
    const cpuAfter = await cpuOf(pids)
    say(
      `${isWarmUp ? 'to warm up: ' : ''}${ofAlone.toFixed(0)} rows/s alone, ${ofWhole.toFixed(0)} by the whole chain`,
    )
    if (isWarmUp) continue
    alone.push(ofAlone)
    whole.push(ofWhole)
    addedSeconds.push((performance.now() - visibleAt) / 1000)
    for (const [name, after] of cpuAfter)
      cpu.set(name, [...(cpu.get(name) ?? []), after - (cpuBefore.get(name) ?? 0)])
  }
  const ratios = whole.map((rate, i) => rate / alone[i]!)
  measurements.push(
    measuredRepeatedly('Debezium alone into Kafka', alone, 'rows/s'),
    measuredRepeatedly('whole chain, until visible', whole, 'rows/s'),
    measuredRepeatedly('whole chain against Debezium alone', ratios, '×', { atLeast: 0.9 }),
    measuredRepeatedly(
      'a backlog of ten minutes at 200 changes/s: until visible',
      whole.map((rate) => backlogRows / rate),
      's',
    ),
    measuredRepeatedly(
      'the same: until every user is told and the position stored, in addition',
      addedSeconds,
      's',
    ),
    ...[...cpu].map(([name, samples]) =>
      measuredRepeatedly(`that backlog: CPU of ${name}`, samples, 'CPU s'),
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

type Place = {
  /** Whether a change has arrived: that of the first row, or that of the last, which comes last. */
  has(which: 'first' | 'last', v: string): Promise<boolean>
}

/** Rows that are changed while the connector is paused, and then waited for. */
async function openBacklog(
  { scope, log }: Pick<BenchContext, 'scope' | 'log'>,
  world: World,
  firstId: number,
) {
  const connector = connectorAt(process.env.KAFKA_CONNECT_URL!, world.slotName)
  const admin = createKafkaClient(process.env.KAFKA_BROKERS!.split(','), log).admin()
  await admin.connect()
  scope.defer(() => admin.disconnect())
  const topic = `${world.slotName}.public.ticks`
  const endOfTopic = async () =>
    (await admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0)
  let endBefore = 0
  let round = 0
  const inTopic: Place = {
    has: async (which) => (await endOfTopic()) >= endBefore + (which === 'first' ? 1 : backlogRows),
  }
  // By the key of one row: a count of what is visible would read all rows again and again, at the chain's cost.
  const visible: Place = {
    async has(which, v) {
      const id = which === 'first' ? firstId : firstId + backlogRows - 1
      const [row] = await world.warehouse.query(tickHasValue, { id, v })
      return row!.n > 0
    },
  }
  return {
    inTopic,
    visible,
    /** @returns rows a second, from the first that arrives to the last */
    async drain(place: Place): Promise<number> {
      await connector.pause()
      round += 1
      const v = `round ${round}`
      await changeInTransactions(world.sql, firstId, v)
      endBefore = await endOfTopic()
      await connector.resume()
      const resumedAt = performance.now()
      const arrivedAt = async (which: 'first' | 'last') => {
        while (!(await place.has(which, v))) {
          if (performance.now() - resumedAt > arrivesWithinMs) throw new Error('Changes do not arrive.')
          await delay(20)
        }
        return performance.now()
      }
      const firstAt = await arrivedAt('first')
      return backlogRows / (((await arrivedAt('last')) - firstAt) / 1000)
    },
  }
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

async function memory(pids: Map<string, number>, clickHousePid: number): Promise<Measurement[]> {
  // PostgreSQL has a process for each connection; the worker has all others as its children.
  const trees = await Promise.all(
    [
      ...chainParts.map((name) => [name, pids.get(name) ?? 0] as const),
      ['clickhouse', clickHousePid] as const,
    ].map(async ([name, pid]) => [name, (await processTree(pid)).map((found) => found.pid)] as const),
  )
  return Promise.all(
    [...trees, ['worker', [process.pid]] as const].map(async ([name, all]) => {
      const bytes = (await Promise.all(all.map(pssBytes))).reduce((sum, one) => sum + one, 0)
      return measured(`memory of ${name}`, bytes / 1e6, 'MB')
    }),
  )
}
