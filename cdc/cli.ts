import { ConfigError } from '@tendon/platform/config.ts'
import { runProgram } from '@tendon/platform/process-config.ts'
import { add } from './commands/add.ts'
import { apply } from './commands/apply.ts'
import { type Command, exitCodes } from './commands/command.ts'
import { deadLetters } from './commands/dead-letters.ts'
import { replay } from './commands/replay.ts'
import { resync } from './commands/resync.ts'
import { status } from './commands/status.ts'
import { verify } from './commands/verify.ts'

const commands: Command[] = [apply, add, status, verify, resync, replay, deadLetters]

const [name, ...argv] = process.argv.slice(2)
await runProgram(async () => {
  if (name === '--help') {
    process.stdout.write(usage())
    return exitCodes.done
  }
  const command = commands.find((candidate) => candidate.name === name)
  if (command) return command.run(argv)
  const known = commands.map((candidate) => candidate.name).join(', ')
  throw new ConfigError('cdc', [`unknown command "${name ?? ''}"; there are: ${known}`])
})

function usage(): string {
  const lines = commands.map((command) => ({
    call: `${command.name} ${command.operands}`.trim(),
    summary: command.summary,
  }))
  const width = Math.max(...lines.map(({ call }) => call.length))
  const list = lines.map(({ call, summary }) => `  ${call.padEnd(width)}  ${summary}\n`).join('')
  return `npm run cdc -- <command> [options]

Commands:
${list}Each has --help.

Exit codes: 0 done, 1 failed, 3 a replica differs from its source or a dead letter is left, 64 wrong usage.
`
}
