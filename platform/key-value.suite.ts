import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { KeyValue } from './key-value.ts'

type OpenedKeyValue = {
  keyValue: KeyValue
  /** The same data as another instance of the service sees it. */
  elsewhere: KeyValue
  /** Put before every key, so that suites can share a server. */
  prefix: string
  /** Lets time go by for the store, really or by its injected clock. */
  elapse(ms: number): Promise<void>
  close(): Promise<void>
}

/**
 * Lets `ms` go by for a Redis: the time to live is its own, there is no event to wait for and no clock to turn.
 *
 * Longer by a margin, since a timer may fire a millisecond early, and Redis drops a key only after the millisecond
 * in which it ends.
 */
export function elapseInRedis(ms: number): Promise<void> {
  return sleep(ms + 20)
}

/**
 * What every key-value store does.
 *
 * Times are short because a real store really waits: entries that must outlive a check have a long time to
 * live, those that must end have `shortMs`.
 */
export function keyValueSuite(name: string, open: () => Promise<OpenedKeyValue>): void {
  const shortMs = 60
  const longMs = 60_000

  describe(name, () => {
    let opened: OpenedKeyValue
    let keyValue: KeyValue
    let elsewhere: KeyValue
    const key = (label: string) => `${opened.prefix}${label}`

    beforeAll(async () => {
      opened = await open()
      ;({ keyValue, elsewhere } = opened)
      await keyValue.check()
    })
    afterAll(() => opened?.close())

    test.each([
      ['empty', ''],
      ['text', 'søster 🦾\r\n\0'],
      ['1 MB', 'x'.repeat(1_000_000)],
    ])('keeps a value as it is: %s', async (label, value) => {
      expect(await keyValue.get(key(label))).toBeUndefined()
      expect(await keyValue.set(key(label), value)).toBe(true)
      expect(await elsewhere.get(key(label))).toBe(value)
      expect(await elsewhere.has(key(label))).toBe(true)
      expect(await elsewhere.delete(key(label))).toBe(true)
      expect(await keyValue.delete(key(label))).toBe(false)
      expect(await keyValue.get(key(label))).toBeUndefined()
    })

    test('answers each of many who ask at once, the same key and others, there or not', async () => {
      const labels = Array.from({ length: 50 }, (_, index) => `many-${index}`)
      const there = labels.filter((_, index) => index % 3)
      const asked = [...labels, ...labels]
      const expected = (value: (label: string) => unknown) =>
        asked.map((label) => (there.includes(label) ? value(label) : value('')))
      const gotten = (names: string[]) => Promise.all(names.map((label) => keyValue.get(key(label))))
      const found = (names: string[]) => Promise.all(names.map((label) => keyValue.has(key(label))))

      await Promise.all(there.map((label) => elsewhere.set(key(label), `of ${label}`)))
      expect(await gotten(asked)).toEqual(expected((label) => (label ? `of ${label}` : undefined)))
      expect(await found(asked)).toEqual(expected(Boolean))
      expect(await found(there)).toEqual(there.map(() => true))
    })

    test('tells who listens now, in order and in every instance, and nobody else', async () => {
      const [heard, heardElsewhere, other]: string[][] = [[], [], []]
      const listenTo = (into: string[]) => ({
        onMessage: (text: string) => into.push(text),
        onResume: () => {},
      })
      await keyValue.publish(key('channel'), ['too early'])
      const leave = await keyValue.subscribe(key('channel'), listenTo(heard!))
      await elsewhere.subscribe(key('channel'), listenTo(heardElsewhere!))
      await elsewhere.subscribe(key('other'), listenTo(other!))
      await keyValue.publish(key('channel'), ['first', 'søster 🦾'])
      await vi.waitFor(() => expect([heard, heardElsewhere]).toEqual(Array(2).fill(['first', 'søster 🦾'])))
      await leave()
      await elsewhere.publish(key('channel'), ['last'])
      await elsewhere.publish(key('other'), ['other'])
      await vi.waitFor(() => expect(other).toEqual(['other']))
      expect(heardElsewhere).toEqual(['first', 'søster 🦾', 'last'])
      expect(heard).toEqual(['first', 'søster 🦾'])
    })

    test('drops a value when its time is over, and not before', async () => {
      await keyValue.set(key('short'), 'a', { ttlMs: shortMs })
      await keyValue.set(key('long'), 'b', { ttlMs: longMs })
      await opened.elapse(shortMs + 1)
      expect(await keyValue.get(key('short'))).toBeUndefined()
      expect(await keyValue.has(key('short'))).toBe(false)
      expect(await keyValue.getAndDelete(key('short'))).toBeUndefined()
      expect(await keyValue.delete(key('short'))).toBe(false)
      expect(await keyValue.get(key('long'))).toBe('b')
    })

    test('takes the time to live of the last set', async () => {
      await keyValue.set(key('kept'), 'a', { ttlMs: shortMs })
      await keyValue.set(key('kept'), 'b')
      await keyValue.set(key('bounded'), 'a')
      await keyValue.set(key('bounded'), 'b', { ttlMs: shortMs })
      await opened.elapse(shortMs + 1)
      expect(await keyValue.get(key('kept'))).toBe('b')
      expect(await keyValue.get(key('bounded'))).toBeUndefined()
    })

    test('sets an absent key once, whoever asks', async () => {
      const values = Array.from({ length: 50 }, (_, index) => `value ${index}`)
      const outcomes = await Promise.all(
        values.map((value, index) =>
          (index % 2 ? keyValue : elsewhere).set(key('once'), value, { onlyIfAbsent: true, ttlMs: longMs }),
        ),
      )
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      expect(await keyValue.get(key('once'))).toBe(values[outcomes.indexOf(true)])
    })

    test('leaves a present key as it is when asked to set it only if absent', async () => {
      await keyValue.set(key('present'), 'first')
      expect(await keyValue.set(key('present'), 'second', { onlyIfAbsent: true, ttlMs: shortMs })).toBe(false)
      await opened.elapse(shortMs + 1)
      expect(await keyValue.get(key('present'))).toBe('first')

      await keyValue.set(key('ended'), 'first', { ttlMs: shortMs })
      await opened.elapse(shortMs + 1)
      expect(await keyValue.set(key('ended'), 'second', { onlyIfAbsent: true })).toBe(true)
    })

    test('hands a value to one of many who take it', async () => {
      await keyValue.set(key('taken'), 'the one')
      const taken = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          (index % 2 ? keyValue : elsewhere).getAndDelete(key('taken')),
        ),
      )
      expect(taken.filter((value) => value !== undefined)).toEqual(['the one'])
      expect(await keyValue.get(key('taken'))).toBeUndefined()
    })

    test('replaces a value that is still the one that was read', async () => {
      await keyValue.set(key('replaced'), 'first')
      expect(await elsewhere.replace(key('replaced'), 'first', 'second')).toBe(true)
      expect(await keyValue.replace(key('replaced'), 'first', 'stale')).toBe(false)
      expect(await keyValue.get(key('replaced'))).toBe('second')
      const replacements = Array.from({ length: 50 }, (_, index) => `third, ${index}`)
      const outcomes = await Promise.all(
        replacements.map((value, index) =>
          (index % 2 ? keyValue : elsewhere).replace(key('replaced'), 'second', value),
        ),
      )
      expect(outcomes.filter(Boolean)).toHaveLength(1)
      expect(await keyValue.get(key('replaced'))).toBe(replacements[outcomes.indexOf(true)])
    })

    test('replaces nothing that was deleted or has ended', async () => {
      await keyValue.set(key('logged out'), 'session')
      await elsewhere.delete(key('logged out'))
      expect(await keyValue.replace(key('logged out'), 'session', 'refreshed')).toBe(false)
      expect(await keyValue.get(key('logged out'))).toBeUndefined()
      expect(await keyValue.replace(key('never there'), '', 'value')).toBe(false)

      await keyValue.set(key('ends'), 'a')
      expect(await keyValue.replace(key('ends'), 'a', 'b', { ttlMs: shortMs })).toBe(true)
      await keyValue.set(key('stays'), 'a', { ttlMs: shortMs })
      expect(await keyValue.replace(key('stays'), 'a', 'b')).toBe(true)
      await opened.elapse(shortMs + 1)
      expect(await keyValue.replace(key('ends'), 'b', 'c')).toBe(false)
      expect(await keyValue.get(key('stays'))).toBe('b')
    })

    test('sets many at once', async () => {
      const entries = Array.from({ length: 2_500 }, (_, index) => [key(`many/${index}`), `${index}`] as const)
      await keyValue.setMany(new Map(entries), { ttlMs: longMs })
      for (const index of [0, 999, 1_000, 2_499]) {
        expect(await elsewhere.get(key(`many/${index}`))).toBe(`${index}`)
      }
      await keyValue.setMany([[key('many/0'), 'ends']], { ttlMs: shortMs })
      await keyValue.setMany([[key('many/1'), 'stays']])
      await keyValue.setMany([])
      await opened.elapse(shortMs + 1)
      expect(await keyValue.get(key('many/0'))).toBeUndefined()
      expect(await keyValue.get(key('many/1'))).toBe('stays')
    })

    test('gives a lease to one at a time', async () => {
      const leases = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 ? keyValue : elsewhere).acquireLease(key('lease'), longMs),
        ),
      )
      const [lease, ...others] = leases.filter((given) => given !== undefined)
      expect(others).toEqual([])
      expect(await lease!.renew()).toBe(true)
      expect(await lease!.release()).toBe(true)
      expect(await lease!.release()).toBe(false)
      const next = await elsewhere.acquireLease(key('lease'), longMs)
      expect(next!.token).not.toBe(lease!.token)
      await next!.release()
    })

    test('ends a lease that is not renewed, and keeps the one that is', async () => {
      const renewedMs = 400
      const lost = await keyValue.acquireLease(key('lost'), shortMs)
      const renewed = await keyValue.acquireLease(key('renewed'), renewedMs)
      await opened.elapse(renewedMs / 2 + 50)
      expect(await renewed!.renew()).toBe(true)
      await opened.elapse(renewedMs / 2 + 50)
      expect(await elsewhere.acquireLease(key('renewed'), longMs)).toBeUndefined()

      const next = await elsewhere.acquireLease(key('lost'), longMs)
      expect(next).toBeDefined()
      expect(await lost!.renew()).toBe(false)
      expect(await lost!.release()).toBe(false)
      expect(await next!.renew()).toBe(true)
    })

    test.each([0, -1, 1.5, Number.NaN, Infinity])('refuses the time to live %d', async (ttlMs) => {
      await expect(keyValue.set(key('ttl'), 'a', { ttlMs })).rejects.toThrow(RangeError)
      await expect(keyValue.replace(key('ttl'), 'a', 'b', { ttlMs })).rejects.toThrow(RangeError)
      await expect(keyValue.setMany([[key('ttl'), 'a']], { ttlMs })).rejects.toThrow(RangeError)
      await expect(keyValue.acquireLease(key('ttl'), ttlMs)).rejects.toThrow(RangeError)
      expect(await keyValue.get(key('ttl'))).toBeUndefined()
    })
  })
}
