import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ObjectStore } from './object-store.ts'

const json = { contentType: 'application/json' }

/**
 * What every object store does.
 * @param open makes a store that holds nothing yet; `close` removes it with all that was put
 */
export function objectStoreSuite(
  name: string,
  open: () => Promise<{ store: ObjectStore; close: () => Promise<void> }>,
): void {
  describe(name, () => {
    let store: ObjectStore
    let close: () => Promise<void>

    beforeAll(async () => {
      ;({ store, close } = await open())
      await store.check()
    })
    afterAll(() => close?.())

    test('can be checked again once it exists', async () => {
      await store.check()
    })

    test.each([
      ['empty', new Uint8Array()],
      [
        'line feeds and every other byte',
        Uint8Array.from({ length: 512 }, (_, index) => 255 - (index % 256)),
      ],
      ['300 KB', new Uint8Array(randomBytes(300_000))],
    ])('gives back what was put: %s', async (label, body) => {
      const key = `round/${label.length}/object.json`
      const attributes = {
        contentType: 'application/json',
        contentEncoding: 'gzip',
        cacheControl: 'max-age=60',
      }
      const before = Date.now()
      await store.put(key, body, attributes)

      const object = await store.get(key)
      expect(object).toMatchObject({ ...attributes, size: body.length })
      expect(Buffer.compare(object!.body, body)).toBe(0)
      expect(object!.etag).toMatch(/^"[\w+/=-]+"$/)
      // S3 keeps whole seconds.
      expect(object!.modifiedAt.getTime()).toBeGreaterThanOrEqual(before - 2_000)
      const { body: _, ...head } = object!
      expect(await store.head(key)).toEqual(head)
    })

    test('says that an object is not there', async () => {
      expect(await store.head('absent/object.json')).toBeUndefined()
      expect(await store.get('absent/object.json')).toBeUndefined()
      await store.delete('absent/object.json')
    })

    test('replaces bytes and attributes together', async () => {
      const key = 'replaced.json'
      await store.put(key, Buffer.from('one'), { ...json, contentEncoding: 'gzip', cacheControl: 'no-store' })
      const first = await store.get(key)
      await store.put(key, Buffer.from('second'), json)
      const second = await store.get(key)

      expect(Buffer.from(second!.body).toString()).toBe('second')
      expect(second).not.toHaveProperty('contentEncoding')
      expect(second).not.toHaveProperty('cacheControl')
      expect(second!.etag).not.toBe(first!.etag)
      await store.put(key, Buffer.from('one'), json)
      expect((await store.head(key))!.etag).toBe(first!.etag)
    })

    test('writes only if absent: of many at once one, and its object stays', async () => {
      const bodies = Array.from({ length: 12 }, (_, index) => Buffer.from(`writer ${index}`))
      const key = 'once/object.json'
      const wrote = await Promise.all(
        bodies.map((body) => store.put(key, body, json, { onlyIfAbsent: true })),
      )
      expect(wrote.filter(Boolean)).toEqual([true])
      const winner = await store.get(key)
      expect(Buffer.from(winner!.body)).toEqual(bodies[wrote.indexOf(true)])

      expect(await store.put(key, Buffer.from('late'), json, { onlyIfAbsent: true })).toBe(false)
      expect((await store.head(key))!.etag).toBe(winner!.etag)
      expect(await keysOf(store, 'once/')).toEqual([key])
      await store.delete(key)
      expect(await store.put(key, Buffer.from('anew'), json, { onlyIfAbsent: true })).toBe(true)
      expect(await store.put(key, Buffer.from('replaced'), json)).toBe(true)
    })

    test('forgets what was deleted', async () => {
      await store.put('deleted/a.json', Buffer.from('a'), json)
      await store.delete('deleted/a.json')
      expect(await store.get('deleted/a.json')).toBeUndefined()
      expect(await keysOf(store, 'deleted/')).toEqual([])
    })

    test('lists by any prefix, in byte order', async () => {
      const keys = [
        'list/A',
        'list/a-b',
        'list/a.json',
        'list/a/1',
        'list/a/b/2',
        'list/a~',
        'list/b',
        'listed',
      ]
      for (const key of keys.toReversed()) await store.put(key, Buffer.from(key), json)

      expect(await keysOf(store, 'list')).toEqual(keys)
      expect(await keysOf(store, 'list/')).toEqual(keys.slice(0, -1))
      expect(await keysOf(store, 'list/a/')).toEqual(['list/a/1', 'list/a/b/2'])
      expect(await keysOf(store, 'list/a/b')).toEqual(['list/a/b/2'])
      expect(await keysOf(store, 'list/nothing')).toEqual([])
      expect(await keysOf(store, '')).toEqual(expect.arrayContaining(keys))
    })

    test('lists when each object was written', async () => {
      const key = 'dated/object.json'
      await store.put(key, Buffer.from('{}'), json)
      const objects = await Array.fromAsync(store.list(key))
      expect(objects).toEqual([{ key, modifiedAt: expect.any(Date) }])
      // HTTP's Last-Modified has whole seconds, S3's listings have more.
      const second = (date: Date) => Math.floor(date.getTime() / 1000)
      expect(second(objects[0]!.modifiedAt)).toBe(second((await store.head(key))!.modifiedAt))
    })

    test('lists more than a page of S3, 1,000 keys', async () => {
      const keys = Array.from({ length: 1_001 }, (_, index) => `many/${String(index).padStart(4, '0')}`)
      for (let start = 0; start < keys.length; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => store.put(key, Buffer.from('x'), json)))
      }
      expect(await keysOf(store, 'many/')).toEqual(keys)
    })

    test('shows a reader one whole object while many write it', async () => {
      const key = 'contended.json'
      const versions = Array.from({ length: 20 }, (_, index) => Buffer.alloc(20_000 + index * 5_000, index))
      await store.put(key, versions[0]!, { contentType: 'version/0' })
      const writes = Promise.all(
        versions.map((body, index) => store.put(key, body, { contentType: `version/${index}` })),
      )
      const reads = await Promise.all(Array.from({ length: 40 }, () => store.get(key)))
      await writes

      for (const object of reads) {
        const version = versions[Number(object!.contentType.slice('version/'.length))]!
        expect(Buffer.compare(object!.body, version)).toBe(0)
      }
    })

    test.each([
      '',
      '.',
      '..',
      '/absolute',
      '../outside',
      'a/../../outside',
      'a/./b',
      'a//b',
      'a/',
      'a\\..\\b',
      'a\0b',
      'a\nb',
      'a b',
      'a%2fb',
      '@tmp/x',
      'ä',
      's'.repeat(201),
      `${'long/'.repeat(200)}x`,
    ])('refuses the key %j', async (key) => {
      const refusal = { code: 'TENDON-PLATFORM-010' }
      await expect(store.get(key)).rejects.toMatchObject(refusal)
      await expect(store.head(key)).rejects.toMatchObject(refusal)
      await expect(store.put(key, Buffer.from('x'), json)).rejects.toMatchObject(refusal)
      await expect(store.delete(key)).rejects.toMatchObject(refusal)
    })

    test.each(['/', '../', '/etc/', 'a/../', 'a//', 'a\0', '@tmp/'])(
      'refuses the prefix %j',
      async (prefix) => {
        await expect(keysOf(store, prefix)).rejects.toMatchObject({
          code: 'TENDON-PLATFORM-010',
        })
      },
    )
  })
}

/** All keys with a prefix, in the store's order. */
export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key)
}
