import { ConfigError } from '@tendon/platform/config.ts'
import { runProgram } from '@tendon/platform/process-config.ts'
import { backfill } from './backfill.ts'
import { type Command, exitCodes } from './command.ts'
import { explain } from './explain.ts'
import { plan } from './plan.ts'
import { quarantine } from './quarantine.ts'
import { run } from './run.ts'
import { runs } from './runs.ts'

const commands: Command[] = [run, backfill, plan, runs, explain, quarantine]

/** Does what the arguments of a call say, and ends the process with its exit code. */
export function runCommand([name, ...argv]: string[]): Promise<void> {
  return runProgram(async () => {
    if (name === '--help') {
      process.stdout.write(usage())
      return exitCodes.done
    }
    const command = commands.find((candidate) => candidate.name === name)
    if (command) return command.run(argv)
    const known = commands.map((candidate) => candidate.name).join(', ')
    throw new ConfigError('etl', [`unknown command "${name ?? ''}"; there are: ${known}`])
  })
}

function usage(): string {
  const calls = commands.map((command) => `${command.name} ${command.operands}`.trim())
  const width = Math.max(...calls.map((call) => call.length))
  const list = commands.map(({ summary }, i) => `  ${calls[i]!.padEnd(width)}  ${summary}\n`).join('')
  return `npm run etl -- <command> [options]

Commands:
${list}Each has --help, and --json.

Exit codes: 0 done, 1 failed, 3 nothing done because another run is going, 4 nothing found, 64 wrong usage.
`
}
