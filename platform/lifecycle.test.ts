import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
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
  expect(await lifecycle.stop()).toEqual([])
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
  expect(await lifecycle.stop()).toEqual(['broken', 'stuck'])
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

/** A process with one part, whose `stop` is this, as soon as it is up. */
async function startProcess(stop: string, bounds: { stopTimeoutMs: number; boundMs: number }) {
  const program = `
    import { createLifecycle, stopOnSignals } from '${join(import.meta.dirname, 'lifecycle.ts')}'
    const log = { info() {}, debug() {}, warn() {}, error() {} }
    const lifecycle = createLifecycle({ log, stopTimeoutMs: ${bounds.stopTimeoutMs} })
    stopOnSignals(lifecycle, { log, boundMs: ${bounds.boundMs}, say: console.log })
    await lifecycle.start('part', { stop: ${stop} })
    setInterval(() => {}, 1_000)
    console.log('up')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: string[] = []
  const reader = createInterface({ input: child.stdout }).on('line', (line) => said.push(line))
  await once(reader, 'line')
  return { child, said, outcome: once(child, 'close').then(([code]) => code) }
}

const never = '() => new Promise(() => {})'
const longMs = 600_000

test.each([
  ['() => {}', 0, 'Stopped.'],
  [never, 1, 'Did not stop: part.'],
  ["() => { throw new Error('broken') }", 1, 'Did not stop: part.'],
])('told to stop, a process whose part stops by %s ends with %i', async (stop, code, last) => {
  const { child, said, outcome } = await startProcess(stop, { stopTimeoutMs: 100, boundMs: longMs })
  child.kill('SIGTERM')
  expect([await outcome, said.at(-1)]).toEqual([code, last])
})

test('a signal that comes again at once is the same one, and one that comes later ends the process', async () => {
  const { child, said, outcome } = await startProcess(never, { stopTimeoutMs: longMs, boundMs: longMs })
  const signalledAt = performance.now()
  child.kill('SIGINT')
  const again = setInterval(() => child.kill('SIGINT'), 50)
  onTestFinished(() => clearInterval(again))
  expect([await outcome, said.at(-1)]).toEqual([1, expect.stringContaining('Stopping')])
  expect(performance.now() - signalledAt).toBeGreaterThan(1_900)
}, 20_000)
