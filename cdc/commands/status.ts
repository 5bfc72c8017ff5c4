import { createLog } from '@tendon/platform/log.ts'
import { readKnownTables } from '../derive/known-tables.ts'
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
    const report = await readFeedReport({
      source,
      warehouse,
      slotName: config.slotName,
      publicationName: config.publicationName,
      entries: await readKnownTables(warehouse, registry),
      crmDatabaseUrl: config.crmDatabaseUrl,
      kafkaConfig: kafkaConfigOf(config),
      log: createLog({ service: 'cdc', level: 'warn' }, process.stderr),
    })
    print(config, report, describeFeedReport(report))
    return exitCodes.done
  },
})
