import { ConfigError } from './config.ts'
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
  // Whoever reads what is printed may have seen enough (`| head`): the command goes on to its end.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') endWith(error)
  })
  return runProgram(async () => {
    if (name === '--help') {
      process.stdout.write(usage(program, commands) + notes)
      return exitCodes.done
    }
    const command = commands.find((candidate) => candidate.name === name)
    if (command) return command.run(argv)
    const known = commands.map((candidate) => candidate.name).join(', ')
    const what = name === undefined ? 'no command' : `unknown command "${name}"`
    throw new ConfigError(program, [`${what}; there are: ${known}`])
  })
}

function usage(program: string, commands: readonly Command[]): string {
  const calls = commands.map(({ name, operands }) => `${name} ${operands}`.trim())
  const width = Math.max(...calls.map((call) => call.length))
  const list = commands.map(({ summary }, i) => `  ${calls[i]!.padEnd(width)}  ${summary}\n`).join('')
  return `npm run ${program} -- <command> [options]\n\nCommands:\n${list}`
}
