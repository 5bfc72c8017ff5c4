import { booleanOption, defineOptions } from '@tendon/platform/config.ts'
import { readProcessConfig } from '@tendon/platform/process-config.ts'
import type { Command } from '@tendon/platform/run-commands.ts'
import { exitCodes, jobOptions, print, withEtl } from './command.ts'
import { describeRun } from './run-text.ts'

const options = defineOptions({
  ...jobOptions,
  acceptChecks: {
    env: 'ETL_ACCEPT_CHECKS',
    flag: 'accept-checks',
    type: booleanOption,
    default: false,
    help: 'Load in spite of data checks that block',
  },
})

export const run: Command = {
  name: 'run',
  operands: '',
  summary: 'Run the job once, now',
  async run(argv) {
    const config = readProcessConfig('etl run', 'npm run etl -- run [options]', options, argv)
    return withEtl(config, async (etl) => {
      const result = await etl.runOnce({ acceptChecks: config.acceptChecks })
      print(config.json, result, () => describeRun(result))
      return result.state === 'skipped' ? exitCodes.skipped : exitCodes.done
    })
  },
}
