import { describeFeedReport, readFeedReport } from '../feed-report.ts'
import { commandOptions, defineCommand, exitCodes, print } from './command.ts'

export const status = defineCommand({
  name: 'status',
  summary: 'Show the slot, the position and the tables',
  options: commandOptions,
  async act(config, { source, warehouse }) {
    const report = await readFeedReport(source, warehouse, config.slotName)
    print(config, report, describeFeedReport(report))
    return exitCodes.done
  },
})
