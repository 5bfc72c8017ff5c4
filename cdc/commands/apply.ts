import { booleanOption, defineOptions } from '@tendon/platform/config.ts'
import { createLog } from '@tendon/platform/log.ts'
import { applyMigrations } from '@tendon/warehouse/migrate.ts'
import { applyReplicas } from '../derive/apply.ts'
import { readCatalog } from '../derive/catalog.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { takeOut, undeclaredTables } from '../derive/take-out.ts'
import { applyChain, omitFirst } from '../kafka/apply-chain.ts'
import { type Connector, createConnector } from '../kafka/connect-rest.ts'
import { createKafkaClient } from '../kafka/kafka-client.ts'
import { type KafkaConfig, kafkaConfigOf } from '../options.ts'
import { registry } from '../registry.ts'
import { withApplyLock } from '../source/advisory-lock.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'
import { createDryRun } from './dry-run.ts'

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
    const run = createDryRun(source, warehouse)
    const connectorOf = ({ kafkaConnectUrl, slotName }: KafkaConfig): Connector => {
      const connector = createConnector(kafkaConnectUrl, slotName)
      return config.dryRun ? run.connector(connector) : connector
    }
    const [crm, target] = config.dryRun ? [run.source, run.warehouse] : [source, warehouse]
    await applyMigrations(target)
    const kafka = kafkaConfigOf(config)
    const { publicationName } = config
    const connector = kafka && connectorOf(kafka)
    const bring = async () => {
      const entries = await readKnownTables(target, registry)
      if (connector) await omitFirst({ source: crm, connector, publicationName, entries })
      const catalog = await readCatalog(crm, publicationName, entries)
      const undeclared = await undeclaredTables(target, entries)
      for (const table of undeclared) await takeOut(crm, target, publicationName, table)
      await applyReplicas(crm, target, catalog.replicas, log, { runsAhead: kafka !== undefined })
      if (!kafka || !connector) return { catalog, undeclared }
      const admin = createKafkaClient(kafka.kafkaBrokers, log).admin()
      await admin.connect()
      try {
        await applyChain({
          source: crm,
          warehouse: target,
          admin: config.dryRun ? run.admin(admin) : admin,
          connector,
          catalog,
          config: kafka,
          log,
          signal: new AbortController().signal,
          isDryRun: config.dryRun,
        })
      } finally {
        await admin.disconnect()
      }
      return { catalog, undeclared }
    }
    const { catalog, undeclared } = await (config.dryRun
      ? bring()
      : withApplyLock(source, config.slotName, bring))
    const names = catalog.replicas.map(({ source: table }) => table.qualifiedName)
    const problems = catalog.problems.map(({ code, message }) => ({ code, detail: message }))
    const problemLines = problems.map(({ code, detail }) => `${code}: ${detail}\n`).join('')
    if (config.dryRun) {
      const text = run.steps.length > 0 ? run.steps.join('\n') : 'Everything is in place.'
      print(config, { steps: run.steps, problems }, `${text}\n${problemLines}`)
    } else {
      print(
        config,
        { tables: names, removed: undeclared, problems },
        [
          ...names.map((name) => `${name} is in place\n`),
          ...undeclared.map((name) => `${name} is carried no more\n`),
          problemLines,
        ].join(''),
      )
    }
    return exitCodes.done
  },
})
