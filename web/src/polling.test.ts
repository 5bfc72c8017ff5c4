import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { pollWhileVisible, retryDelayMs } from './polling.ts'

/** The part of a document that polling looks at. */
class TestPage extends EventTarget {
  hidden = false

  show(visible: boolean) {
    this.hidden = !visible
    this.dispatchEvent(new Event('visibilitychange'))
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('asks at once and then at the interval, and ends with its signal', async () => {
  const { calls, controller, ended } = startPolling()
  await vi.advanceTimersByTimeAsync(4_000)
  expect(calls()).toBe(3)
  controller.abort()
  await ended
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls()).toBe(3)
})

test('asks nothing while the page is hidden, and at once when it is seen again', async () => {
  const { calls, page, controller } = startPolling()
  await vi.advanceTimersByTimeAsync(0)
  page.show(false)
  await vi.advanceTimersByTimeAsync(600_000)
  expect(calls()).toBe(1)
  page.show(true)
  await vi.advanceTimersByTimeAsync(0)
  expect(calls()).toBe(2)
  controller.abort()
})

test('says what a person began or came back to, and what it does by itself', async () => {
  const { backgrounds, page, controller } = startPolling()
  await vi.advanceTimersByTimeAsync(2_000)
  page.show(false)
  await vi.advanceTimersByTimeAsync(10_000)
  page.show(true)
  await vi.advanceTimersByTimeAsync(2_000)
  expect(backgrounds).toEqual([false, true, false, true])
  controller.abort()
})

test('after failures it waits longer each time, and after a success as before', async () => {
  let isDown = true
  const { calls, controller } = startPolling(() => isDown)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(calls()).toBeLessThan(32)
  isDown = false
  await vi.advanceTimersByTimeAsync(30_000)
  const before = calls()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(calls()).toBe(before + 5)
  controller.abort()
})

test('however seldom it asks when all is well, it is back within 8 s of an outage', async () => {
  let isDown = true
  const { calls, controller } = startPolling(() => isDown, { intervalMs: 60_000 })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(calls()).toBeLessThan(18)
  isDown = false
  const before = calls()
  await vi.advanceTimersByTimeAsync(8_000)
  expect(calls()).toBe(before + 1)
  controller.abort()
})

test('leaves a service alone for as long as it asked', async () => {
  const { calls, controller } = startPolling(() => true, { retryAfterMs: 50_000 })
  await vi.advanceTimersByTimeAsync(49_999)
  expect(calls()).toBe(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(calls()).toBe(2)
  controller.abort()
})

test('the delay doubles up to 8 s and is spread over its upper half', () => {
  expect(retryDelayMs(1, 0)).toBe(2_000)
  expect(retryDelayMs(1, 0.999)).toBeCloseTo(4_000, -1)
  expect(retryDelayMs(2, 0.999)).toBeCloseTo(8_000, -1)
  expect(retryDelayMs(50, 0)).toBe(4_000)
})

/** Polls, every 2 s unless told otherwise, with a task that fails when `fails` says so. */
function startPolling(fails: () => boolean = () => false, { retryAfterMs = 0, intervalMs = 2_000 } = {}) {
  let count = 0
  const backgrounds: boolean[] = []
  const page = new TestPage()
  const controller = new AbortController()
  const ended = pollWhileVisible({
    task: async (_signal, isBackground) => {
      count += 1
      backgrounds.push(isBackground)
      if (fails()) throw new Error('down')
    },
    isBackground: false,
    onError: () => retryAfterMs,
    intervalMs,
    page,
    signal: controller.signal,
  })
  return { calls: () => count, backgrounds, page, controller, ended }
}
