import { readProcessConfig } from '@tendon/platform/process-config.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { listRuns } from '../run/run-records.ts'
import { exitCodes, listOptions, print, withWarehouse } from './command.ts'
import { describeRun } from './run-text.ts'

export const runs: Command = {
  name: 'runs',
  operands: '',
  summary: 'List the newest runs',
  async run(argv) {
    const config = readProcessConfig('etl runs', 'npm run etl -- runs [options]', listOptions, argv)
    return withWarehouse(config, async (warehouse) => {
      const found = await listRuns(warehouse, config.limit)
      print(config.json, found, () => found.map(describeRun).join('') || 'no run yet\n')
      return exitCodes.done
    })
  },
}
