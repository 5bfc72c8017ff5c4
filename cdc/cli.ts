import { type Command, runCommands } from '@tendon/platform/run-commands.ts'
import { add } from './commands/add.ts'
import { apply } from './commands/apply.ts'
import { deadLetters } from './commands/dead-letters.ts'
import { remove } from './commands/remove.ts'
import { replay } from './commands/replay.ts'
import { resync } from './commands/resync.ts'
import { status } from './commands/status.ts'
import { verify } from './commands/verify.ts'

const commands: Command[] = [apply, add, remove, status, verify, resync, replay, deadLetters]

const notes = `Each has --help.

Exit codes: 0 done, 1 failed, 3 a replica differs from its source or a dead letter is left, 64 wrong usage.
`

await runCommands({ program: 'cdc', commands, notes, argv: process.argv.slice(2) })
