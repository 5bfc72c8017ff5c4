import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { BenchCase, BenchContext } from '../bench-case.ts'
import { connectWarehouse, readServerVersions } from '../embedded-servers.ts'
import { processTree, pssBytes, type RunningProcess } from '../processes.ts'
import { type Measurement, measured, measuredRepeatedly } from '../results.ts'
import { type RunningProduct, startProduct } from '../running-product.ts'

const secondStarts = 4
const settlingMs = 5_000
const bundlerFile = fileURLToPath(new URL('../../web/vite-build.ts', import.meta.url))

export const startCase: BenchCase = {
  name: 'start',
  title: 'time to ready, memory, and time to stop of the whole product',
  timeoutMs: 300_000,
  run: measureStart,
}

async function measureStart(context: BenchContext) {
  const { scope, say } = context
  const folder = scope.temporaryFolder()
  const dataPath = join(folder, 'data')
  const options = { dataPath, simulator: false }

  const first = await startProduct(scope, options)
  say(`first start: ready after ${first.readySeconds.toFixed(1)} s`)
  const firstMemory = await measureMemory(first)
  const servers = await readVersions(context, first)
  const stops = [await first.stop()]

  const readySeconds: number[] = []
  let memory = firstMemory
  for (let start = 0; start < secondStarts; start += 1) {
    const product = await startProduct(scope, options)
    readySeconds.push(product.readySeconds)
    if (start === secondStarts - 1) memory = await measureMemory(product)
    stops.push(await product.stop())
    say(
      `later start: ready after ${readySeconds.at(-1)!.toFixed(1)} s, stopped in ${stops.at(-1)!.toFixed(1)} s`,
    )
  }
  const bundlerSeconds = await timeBundler(join(folder, 'pages'))

  return {
    measurements: [
      measured('first start to ready', first.readySeconds, 's', { atMost: 40 }),
      measured('building the pages alone (done in the first start after npm ci)', bundlerSeconds, 's'),
      measuredRepeatedly('later start to ready', readySeconds, 's', { atMost: 15 }),
      measuredRepeatedly('Ctrl-C to the end of the last process', stops, 's', { atMost: 10 }),
      ...describeMemory(memory, 'after a later start'),
      ...describeMemory(firstMemory, 'after the first start').slice(0, 1),
    ],
    servers,
  }
}

/** PSS in bytes by part of the product. */
type Memory = Map<string, number>

function describeMemory(memory: Memory, when: string): Measurement[] {
  const total = [...memory.values()].reduce((sum, bytes) => sum + bytes, 0)
  return [
    measured(`memory ${when}, all processes (PSS)`, total / 2 ** 20, 'MB'),
    ...[...memory].map(([part, bytes]) => measured(`memory: ${part}`, bytes / 2 ** 20, 'MB')),
  ]
}

/** Once the garbage of the start has settled. */
async function measureMemory(product: RunningProduct): Promise<Memory> {
  await delay(settlingMs)
  const tree = await processTree(product.pid)
  const memory: Memory = new Map()
  for (const found of tree) {
    const part = partOf(found, tree)
    memory.set(part, (memory.get(part) ?? 0) + (await pssBytes(found.pid)))
  }
  return memory
}

/** A part is a child of the main process with all its descendants, known by its command line. */
function partOf(found: RunningProcess, tree: RunningProcess[]): string {
  const main = tree[0]!
  if (found.pid === main.pid) return 'main process'
  const parent = tree.find(({ pid }) => pid === found.parentPid)
  if (parent && parent.pid !== main.pid) return partOf(parent, tree)
  if (/\/crm-postgres\//.test(found.command)) return 'PostgreSQL of the CRM'
  if (/\/telemetry-postgres\//.test(found.command)) return 'PostgreSQL of the telemetry'
  if (/\/chdb-server\//.test(found.command)) return 'ClickHouse engine'
  return 'other'
}

async function readVersions({ scope }: BenchContext, product: RunningProduct) {
  const settings = await product.connections()
  const client = await scope.connect(settings.CRM_DATABASE_URL)
  const warehouse = connectWarehouse(scope, {
    url: settings.CLICKHOUSE_URL,
    username: settings.CLICKHOUSE_USER,
    password: settings.CLICKHOUSE_PASSWORD,
  })
  return readServerVersions(client, warehouse)
}

async function timeBundler(outFolder: string): Promise<number> {
  const startedAt = performance.now()
  await promisify(execFile)(process.execPath, [bundlerFile, outFolder], {
    env: { ...process.env, NODE_ENV: 'production' },
  })
  return (performance.now() - startedAt) / 1000
}
