import { booleanOption, ConfigError, type Option } from './config.ts'
import { endWith, exitCodes, runProgram } from './process-config.ts'

/** One command of `npm run <program> -- …`. */
export type Command = {
  name: string
  /** As the usage shows them: `[table]`, `<user> <day>`; empty when it takes none. */
  operands: string
  /** One line of the usage. */
  summary: string
  /** @returns the exit code */
  run(argv: string[]): Promise<number>
}

/** Whether a command prints JSON, its errors too: `--json`, or ETL_JSON for `etl`. */
export const jsonOption = (program: string) =>
  ({
    env: `${program.toUpperCase()}_JSON`,
    flag: 'json',
    type: booleanOption,
    default: false,
    help: 'Print JSON, an error as {"error": {"code", "message", "help", "reason", "cause"}} on standard error',
  }) as const satisfies Option

/**
 * Does what the arguments of a call say, and ends the process with the command's exit code. `--help` in the place of a
 * command lists them.
 * @param options.notes what the usage says after the list
 * @throws nothing: an unknown command ends the process with 64
 */
export function runCommands(options: {
  program: string
  commands: readonly Command[]
  notes: string
  argv: readonly string[]
}): Promise<void> {
  const { program, commands, notes } = options
  const [name, ...argv] = options.argv
  const json = asksForJson(program, options.argv)
  // Whoever reads what is printed may have seen enough (`| head`): the command goes on to its end.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') endWith(error, { json })
  })
  return runProgram(
    async () => {
      if (name === '--help') {
        process.stdout.write(usage(program, commands) + notes)
        return exitCodes.done
      }
      const command = commands.find((candidate) => candidate.name === name)
      if (command) return command.run(argv)
      const known = commands.map((candidate) => candidate.name).join(', ')
      const what = name === undefined ? 'no command' : `unknown command "${name}"`
      throw new ConfigError(program, [`${what}; there are: ${known}`])
    },
    { json },
  )
}

/** Also when the other arguments are wrong, which is an error to be told. */
function asksForJson(program: string, argv: readonly string[]): boolean {
  const flag = argv.findLast((argument) => /^--(no-)?json(=|$)/.test(argument))
  if (flag) return !/^--no-|=false$/.test(flag)
  return booleanOption.safeParse(process.env[jsonOption(program).env]).data === true
}

/**
 * @param shape as the usage shows it: `<a>` must be there, `[a]` may be
 * @throws ConfigError when the operands are more or fewer
 */
export function refuseOtherThan(shape: string, command: string, operands: readonly string[]): void {
  const most = shape.split(' ').filter(Boolean)
  const least = most.filter((operand) => operand.startsWith('<')).length
  if (operands.length >= least && operands.length <= most.length) return
  const wanted = most.length === 0 ? 'takes no argument' : `takes ${shape}`
  const got = operands.length === 0 ? 'none' : `"${operands.join(' ')}"`
  throw new ConfigError(command, [`it ${wanted}, and got ${got}`])
}

function usage(program: string, commands: readonly Command[]): string {
  const calls = commands.map(({ name, operands }) => `${name} ${operands}`.trim())
  const width = Math.max(...calls.map((call) => call.length))
  const list = commands.map(({ summary }, i) => `  ${calls[i]!.padEnd(width)}  ${summary}\n`).join('')
  return `npm run ${program} -- <command> [options]\n\nCommands:\n${list}`
}
