import { booleanOption, defineOptions } from '@tendon/platform/config.ts'
import type { TendonError } from '@tendon/platform/errors.ts'
import { createLog, type Log } from '@tendon/platform/log.ts'
import type { Warehouse } from '@tendon/warehouse/client.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import type pg from 'pg'
import { applyReplicas } from '../derive/apply.ts'
import { type Catalog, readCatalog } from '../derive/catalog.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { readReadersProblem, takeOut, undeclaredTables } from '../derive/take-out.ts'
import { applyChain, omitFirst } from '../kafka/apply-chain.ts'
import { type Connector, createConnector } from '../kafka/connect-rest.ts'
import { createKafkaClient } from '../kafka/kafka-client.ts'
import { type KafkaConfig, kafkaConfigOf } from '../options.ts'
import { registry } from '../registry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'
import { createDryRun, type DryRun } from './dry-run.ts'
import { describeAdvice, describeProblem, type Problem, problemOf } from './problem.ts'

const applyOptions = defineOptions({
  ...commandOptions,
  dryRun: {
    env: 'CDC_DRY_RUN',
    flag: 'dry-run',
    type: booleanOption,
    default: false,
    help: 'Say what would be done, and do nothing',
  },
})

export const apply = defineCommand({
  name: 'apply',
  summary:
    'Bring publication, replicas, views and connector to the registry and the catalog; a table that left it is dropped here',
  options: applyOptions,
  async act(config, { source, warehouse }) {
    // Standard output carries the answer alone.
    const log = createLog({ service: 'cdc', level: config.dryRun ? 'warn' : 'info' }, process.stderr)
    const world = {
      source,
      warehouse,
      kafka: kafkaConfigOf(config),
      publicationName: config.publicationName,
      log,
    }
    if (config.dryRun) {
      const dryRun = createDryRun(source, warehouse)
      const said = await applyAll({
        ...world,
        source: dryRun.source,
        warehouse: dryRun.warehouse,
        dryRun,
      })
      const text = dryRun.steps.length > 0 ? dryRun.steps.join('\n') : 'Everything is in place.'
      print(config, { steps: dryRun.steps, ...saidOf(said) }, `${text}\n${describeSaid(said)}`)
      return exitCodes.done
    }
    const applied = await withApplyLock(source, config.slotName, () => applyAll(world))
    const { tables, removed } = applied
    const inPlace = tables.map((name) => `${name} is in place\n`).join('')
    const gone = removed.map((name) => `${name} is carried no more\n`).join('')
    print(config, { tables, removed, ...saidOf(applied) }, `${inPlace}${gone}${describeSaid(applied)}`)
    return exitCodes.done
  },
})

/** What is not carried, or not as it was asked for. */
type Said = { problems: Problem[]; leftOut: string[] }

const saidOf = ({ problems, leftOut }: Said) => ({ problems, left_out: leftOut })
const describeSaid = ({ problems, leftOut }: Said) =>
  [...problems.map(describeProblem), ...leftOut.map(describeAdvice)].join('')

type World = {
  source: pg.Client
  warehouse: Warehouse
  /** undefined when the WAL is read in process */
  kafka: KafkaConfig | undefined
  publicationName: string
  log: Log
  /** Writes down what is to be changed, instead of changing it. */
  dryRun?: DryRun
}

/** In the order in which a change will come: what is left out of its messages first, what reads them last. */
async function applyAll(world: World): Promise<Said & { tables: string[]; removed: string[] }> {
  const { source, warehouse, kafka, publicationName, log } = world
  await applyMigrations(warehouse)
  const entries = await readKnownTables(warehouse, registry)
  const connector = kafka && connectorOf(world, kafka)
  if (connector) await omitFirst({ source, connector, publicationName, entries })
  const catalog = await readCatalog(source, warehouse, publicationName, entries)
  const removed: string[] = []
  const stillRead: TendonError[] = []
  for (const table of await undeclaredTables(warehouse, entries)) {
    const problem = await readReadersProblem(warehouse, entries, table)
    if (problem) stillRead.push(problem)
    else {
      await takeOut(source, warehouse, publicationName, table)
      removed.push(table)
    }
  }
  await applyReplicas(source, warehouse, catalog, log, { runsAhead: kafka !== undefined })
  if (connector) await applyKafka(world, kafka, connector, catalog)
  return {
    tables: catalog.replicas.map((replica) => replica.source.qualifiedName),
    removed,
    problems: [...catalog.problems, ...stillRead].map(problemOf),
    leftOut: catalog.leftOut,
  }
}

function connectorOf({ dryRun }: World, { kafkaConnectUrl, slotName }: KafkaConfig): Connector {
  const connector = createConnector(kafkaConnectUrl, slotName)
  return dryRun ? dryRun.connector(connector) : connector
}

async function applyKafka(
  { source, warehouse, log, dryRun }: World,
  config: KafkaConfig,
  connector: Connector,
  catalog: Catalog,
): Promise<void> {
  const admin = createKafkaClient(config.kafkaBrokers, log).admin()
  await admin.connect()
  try {
    await applyChain({
      source,
      warehouse,
      admin: dryRun ? dryRun.admin(admin) : admin,
      connector,
      catalog,
      config,
      log,
      signal: new AbortController().signal,
      isDryRun: dryRun !== undefined,
    })
  } finally {
    await admin.disconnect()
  }
}
