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
  /** Whether a slot lies after `since` and not after `until`. */
  hasSlot(since: Date, until: Date): boolean
}

const minuteMs = 60_000
/** A longer absence missed a slot of any schedule that is worth one. */
const longestAbsenceMs = 32 * 24 * 60 * minuteMs

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
    hasSlot(since, until) {
      if (until.getTime() - since.getTime() > longestAbsenceMs) return true
      const firstMinute = (Math.floor(since.getTime() / minuteMs) + 1) * minuteMs
      for (let at = firstMinute; at <= until.getTime(); at += minuteMs)
        if (task.match(new Date(at))) return true
      return false
    },
  }
}
