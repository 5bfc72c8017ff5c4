import { booleanOption, defineOptions } from '@tendon/platform/config.ts'
import { counted } from '@tendon/platform/counted.ts'
import { createTerminalProgress } from '@tendon/platform/progress.ts'
import { progressBar } from '@tendon/platform/progress-bar.ts'
import { readSlot } from '../source/replication-slot.ts'
import { readWalEnd, waitForPosition } from '../source/source-position.ts'
import { changesInLog, wholeLog } from '../telling/tell-users.ts'
import { replayTable } from '../whole-tables/replay.ts'
import { otherInsertsEnded } from '../whole-tables/running-inserts.ts'
import { commandOptions, defineCommand, exitCodes, print, replicaOf, timeoutOption } from './command.ts'
import { createTelling, tellingOptions } from './telling.ts'

export const replay = defineCommand({
  name: 'replay',
  operands: '<table>',
  summary: 'Rebuild a replica from the log alone beside the present one, which it replaces in one step',
  options: defineOptions({
    ...commandOptions,
    ...tellingOptions,
    timeoutMs: timeoutOption,
    force: {
      env: 'CDC_REPLAY_FORCE',
      flag: 'force',
      type: booleanOption,
      default: false,
      help: 'Leave out rows that the log does not hold any more',
    },
  }),
  async act(config, parts) {
    const { slotName, timeoutMs, force } = config
    const { source, warehouse } = parts
    const replica = await replicaOf(config, parts)
    const { qualifiedName } = replica.source
    const progress = createTerminalProgress(process.stderr, new AbortController().signal)
    const text = `replaying ${qualifiedName}`
    const telling = createTelling(config, warehouse)
    const { rows } = await progress.step(text, (update) =>
      replayTable({
        warehouse,
        replica,
        force,
        // A feed that runs has stored what it was storing once its position has come by; one that does not run may
        // have left a statement on its way.
        async settled() {
          const slot = await readSlot(source, slotName)
          if (!slot?.isActive) return otherInsertsEnded(warehouse, AbortSignal.timeout(timeoutMs))
          await waitForPosition(source, warehouse, slotName, await readWalEnd(source), timeoutMs)
        },
        onProgress: (part) => update(`${text} ${progressBar(part)}`),
      }),
    )
    await telling.tell([changesInLog(replica.source.entry)], wholeLog)
    const done = `${qualifiedName} is rebuilt from the log: ${counted(rows, 'row')}\n`
    print(config, { table: qualifiedName, rows }, done)
    telling.report()
    return exitCodes.done
  },
})
