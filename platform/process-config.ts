import { type Config, ConfigError, helpText, type OptionTable, readConfig } from './config.ts'
import { TendonError } from './errors.ts'
import { foreignReason } from './reason-of.ts'

/** Exit codes of every program here; 64 is EX_USAGE of sysexits.h. */
export const exitCodes = { done: 0, failed: 1, usage: 64 } as const

/**
 * Runs a whole program. An error that it does not handle ends the process with what a person needs to know of it,
 * and never with a stack trace.
 * @param run may return an exit code; a service returns while it goes on serving
 */
export async function runProgram(
  run: () => Promise<number | undefined>,
  { json }: ErrorFormat = { json: false },
): Promise<void> {
  try {
    process.exitCode = await run()
  } catch (error) {
    endWith(error, { json })
  }
}

/** How an error is told: to a person, or to a program. */
type ErrorFormat = { json: boolean }

/**
 * The configuration of this process, from its arguments and environment. `--help` prints the option table and ends
 * the process.
 * @param usage first line of the help: `node bff/main.ts [options]`
 * @param argv the arguments after the command, for a program that has commands
 * @throws ConfigError with everything that is wrong; `runProgram` ends the process with 64
 */
export function readProcessConfig<const Table extends OptionTable>(
  service: string,
  usage: string,
  table: Table,
  argv: string[] = process.argv.slice(2),
): Config<Table> {
  if (argv.includes('--help')) {
    process.stdout.write(helpText(usage, table))
    process.exit(exitCodes.done)
  }
  return readConfig(service, table, { env: process.env, argv })
}

/** Ends the process with what a person needs to know of an error, and its exit code. */
export function endWith(error: unknown, { json }: ErrorFormat = { json: false }): never {
  process.stderr.write(`${json ? errorAsJson(error) : explainError(error)}\n`)
  process.exit(error instanceof ConfigError ? exitCodes.usage : exitCodes.failed)
}

/** An error for a terminal: what happened, what to do, also about its cause, and the codes. */
export function explainError(error: unknown): string {
  if (!(error instanceof TendonError)) return error instanceof Error ? error.message : String(error)
  const reason = foreignReason(error)
  // Whoever tells the cause's reason itself knows better than the cause what to do.
  const isTold = reason !== undefined && error.message.includes(reason)
  const help = (isTold ? [error] : [error, error.cause]).flatMap((one) =>
    one instanceof TendonError ? [`${one.definition.help} (${one.code})`] : [],
  )
  return [error.message, ...(isTold || reason === undefined ? [] : [`Reason: ${reason}`]), ...help].join('\n')
}

/** The same for a program: `{"error": {"code", "message", "help", "reason"}}`, what is not there null, and the cause likewise. */
export function errorAsJson(error: unknown): string {
  const described = (one: unknown): Record<string, unknown> => {
    const message = one instanceof Error ? one.message : String(one)
    if (!(one instanceof TendonError)) return { code: null, message, help: null }
    const cause = one.cause instanceof TendonError ? { cause: described(one.cause) } : {}
    return {
      code: one.code,
      message,
      help: one.definition.help,
      reason: foreignReason(one) ?? null,
      ...cause,
    }
  }
  return JSON.stringify({ error: described(error) })
}
