import { type Command, runCommands } from '@tendon/platform/run-commands.ts'
import { backfill } from './backfill.ts'
import { explain } from './explain.ts'
import { plan } from './plan.ts'
import { quarantine } from './quarantine.ts'
import { run } from './run.ts'
import { runs } from './runs.ts'
import { unowned } from './unowned.ts'

const commands: Command[] = [run, backfill, plan, runs, explain, quarantine, unowned]

const notes = `Each has --help, and --json.

Exit codes: 0 done, 1 failed, 3 not done, or a backfill not to its end, because another run
is going, 4 nothing found, 64 wrong usage.
`

/** Does what the arguments of a call say, and ends the process with its exit code. */
export const runCommand = (argv: string[]) => runCommands({ program: 'etl', commands, notes, argv })
