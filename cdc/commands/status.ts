import { createLog } from '@tendon/platform/log.ts'
import { readKnownTables } from '../derive/known-tables.ts'
import { readIdentity } from '../kafka/connector-history.ts'
import { readKafkaReport } from '../kafka/kafka-report.ts'
import { kafkaConfigOf } from '../options.ts'
import { registry } from '../registry.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'
import { describeFeedReport } from './describe-report.ts'
import { readFeedReport } from './feed-report.ts'

export const status = defineCommand({
  name: 'status',
  summary: 'Show the slot, the connector, the position, the tables, and what is wrong',
  options: commandOptions,
  async act(config, { source, warehouse }) {
    const entries = await readKnownTables(warehouse, registry)
    const identity = await readIdentity(config.crmDatabaseUrl)
    const report = await readFeedReport({ source, warehouse, slotName: config.slotName, entries, identity })
    const kafka = kafkaConfigOf(config)
    if (kafka) {
      const log = createLog({ service: 'cdc', level: 'warn' }, process.stderr)
      const tables = report.tables.map(({ table }) => table)
      report.kafka = await readKafkaReport(kafka, tables, log)
    }
    print(config, report, describeFeedReport(report))
    return exitCodes.done
  },
})
