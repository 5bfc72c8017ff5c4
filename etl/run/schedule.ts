import { createTask, type Logger, type ScheduledTask, validate } from 'node-cron'
import { z } from 'zod'

/** A cron expression of five fields, to the minute; times are UTC. */
export const scheduleOption = z
  .string()
  .refine(
    (expression) => expression.trim().split(/\s+/).length === 5 && validate(expression),
    'not a cron expression of five fields',
  )

export type Schedule = {
  start(): void
  stop(): Promise<void>
}

/**
 * Calls `onSlot` at each slot. Slots that passed while the process stood still, as on a suspended machine, are
 * made up for by one call.
 */
export function createSchedule(
  expression: string,
  onSlot: (slot: { missed: boolean }) => void,
  logger: Logger,
): Schedule {
  const task: ScheduledTask = createTask(expression, () => onSlot({ missed: false }), {
    timezone: 'UTC',
    logger,
  })
  // Each missed slot is reported by itself, all of them at once.
  let catchUp: NodeJS.Immediate | undefined
  task.on('execution:missed', () => {
    catchUp ??= setImmediate(() => {
      catchUp = undefined
      onSlot({ missed: true })
    })
  })
  return {
    start: () => void task.start(),
    stop: async () => {
      clearImmediate(catchUp)
      await task.destroy()
    },
  }
}
