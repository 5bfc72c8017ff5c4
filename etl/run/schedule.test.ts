import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createSchedule, scheduleOption } from './schedule.ts'

const silent = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} }
const at = (time: string) => new Date(`2026-05-04T${time}Z`)

test('an expression has five fields', () => {
  expect(scheduleOption.safeParse('*/15 * * * *').success).toBe(true)
  for (const wrong of ['', '* * * *', '0 */15 * * * *', '61 * * * *', 'hourly']) {
    expect(scheduleOption.safeParse(wrong).success).toBe(false)
  }
})

describe('in time', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: at('10:14:30') })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('each slot is taken once, and none after stop', async () => {
    const slots: string[] = []
    const schedule = createSchedule('*/15 * * * *', () => slots.push(new Date().toISOString()), silent)
    schedule.start()
    await vi.advanceTimersByTimeAsync(31 * 60_000)
    expect(slots.map((slot) => slot.slice(11, 16))).toEqual(['10:15', '10:30', '10:45'])
    await schedule.stop()
    await vi.advanceTimersByTimeAsync(60 * 60_000)
    expect(slots).toHaveLength(3)
  })

  test('slots are those of UTC', async () => {
    const slots: string[] = []
    const schedule = createSchedule('0 12 * * *', () => slots.push(new Date().toISOString()), silent)
    schedule.start()
    await vi.advanceTimersByTimeAsync(24 * 3_600_000)
    expect(slots.map((slot) => slot.slice(11, 16))).toEqual(['12:00'])
    await schedule.stop()
  })

  test('slots slept through are made up for by one call', async () => {
    const slots: { missed: boolean }[] = []
    const schedule = createSchedule('*/15 * * * *', (slot) => slots.push(slot), silent)
    schedule.start()
    // The machine slept: the timer fires late, and the clock has moved on past five slots.
    vi.setSystemTime(at('11:22:00'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(slots).toEqual([{ missed: true }])
    await schedule.stop()
  })
})
