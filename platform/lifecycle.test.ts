import { expect, test } from 'vitest'
import { createLifecycle } from './lifecycle.ts'
import { createLog } from './log.ts'

const silent = createLog({ service: 'test', level: 'fatal' })

test('parts start in order and stop in reverse', async () => {
  const events: string[] = []
  const lifecycle = createLifecycle({ log: silent })
  for (const name of ['database', 'service', 'server']) {
    await lifecycle.start(name, {
      start: () => events.push(`start ${name}`),
      stop: () => events.push(`stop ${name}`),
    })
  }
  await lifecycle.stop()
  await lifecycle.stop()
  expect(events).toEqual([
    'start database',
    'start service',
    'start server',
    'stop server',
    'stop service',
    'stop database',
  ])
})

test('a part that failed to start is stopped too, before the earlier ones', async () => {
  const events: string[] = []
  const lifecycle = createLifecycle({ log: silent })
  await lifecycle.start('database', { stop: () => events.push('stop database') })
  const failing = lifecycle.start('service', {
    start: () => Promise.reject(new Error('refused')),
    stop: () => events.push('stop service'),
  })
  await expect(failing).rejects.toThrow('refused')
  await lifecycle.stop()
  expect(events).toEqual(['stop service', 'stop database'])
})

test('a part that never stops, or throws, does not keep the others from stopping', async () => {
  const events: string[] = []
  const lifecycle = createLifecycle({ log: silent, stopTimeoutMs: 20 })
  await lifecycle.start('first', { stop: () => events.push('stop first') })
  await lifecycle.start('stuck', { stop: () => new Promise(() => {}) })
  await lifecycle.start('broken', { stop: () => Promise.reject(new Error('broken')) })
  await lifecycle.stop()
  expect(events).toEqual(['stop first'])
})

test('stopping while a part still starts waits for it, and nothing starts afterwards', async () => {
  const events: string[] = []
  const lifecycle = createLifecycle({ log: silent })
  const { promise: up, resolve: comeUp } = Promise.withResolvers<void>()
  const starting = lifecycle.start('slow', {
    start: () => up.then(() => events.push('start slow')),
    stop: () => events.push('stop slow'),
  })
  const stopped = lifecycle.stop()
  await expect(lifecycle.start('late', {})).rejects.toThrow('being stopped')
  comeUp()
  await Promise.all([starting, stopped])
  expect(events).toEqual(['start slow', 'stop slow'])
})

test('work that a stop must not wait for hears of it before the first part is stopped', async () => {
  const events: string[] = []
  const lifecycle = createLifecycle({ log: silent })
  lifecycle.stopping.addEventListener('abort', () => events.push('heard'))
  await lifecycle.start('database', { stop: () => events.push('stop database') })
  expect(lifecycle.stopping.aborted).toBe(false)
  // A start that only the signal ends would otherwise hold up the stop until its bound.
  const endless = lifecycle.start('endless', {
    start: () =>
      new Promise((_, reject) =>
        lifecycle.stopping.addEventListener('abort', () => reject(lifecycle.stopping.reason)),
      ),
    stop: () => events.push('stop endless'),
  })
  await Promise.all([expect(endless).rejects.toThrow('being stopped'), lifecycle.stop()])
  expect(events).toEqual(['heard', 'stop endless', 'stop database'])
})
