import { randomUUID } from 'node:crypto'
import dns, { type LookupOptions } from 'node:dns'
import {
  DeleteBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { expect, onTestFinished, test, vi } from 'vitest'
import { keysOf, objectStoreSuite } from './object-store.suite.ts'
import { createS3Store } from './object-store-s3.ts'

objectStoreSuite('S3 store, the bucket in the path', () =>
  openBucket({ endpoint: fromEnvironment('S3_ENDPOINT'), forcePathStyle: true }),
)

objectStoreSuite('S3 store, the bucket in the host name', async () => {
  // The stack's MinIO takes <bucket>.store.test, a name that no server knows.
  const { port } = new URL(fromEnvironment('S3_ENDPOINT'))
  const lookup = dns.lookup
  const asked = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((name: string, ...rest: [LookupOptions, never]) =>
      lookup(name.endsWith('.store.test') ? '127.0.0.1' : name, ...rest)) as typeof lookup)
  const opened = await openBucket({ endpoint: `http://store.test:${port}`, forcePathStyle: false })
  return {
    ...opened,
    async close() {
      await opened.close()
      const names = new Set(asked.mock.calls.map(([name]) => name))
      asked.mockRestore()
      expect(names).toEqual(new Set([`${opened.bucket}.store.test`]))
    },
  }
})

/** A new one, which goes with `close`. */
async function openBucket(place: { endpoint: string; forcePathStyle: boolean }) {
  const credentials = {
    accessKeyId: fromEnvironment('S3_ACCESS_KEY_ID'),
    secretAccessKey: fromEnvironment('S3_SECRET_ACCESS_KEY'),
  }
  const region = fromEnvironment('S3_REGION')
  const bucket = `tendon-test-${randomUUID()}`
  const store = createS3Store({ ...place, region, bucket, ...credentials })

  return {
    store,
    bucket,
    async close() {
      const keys = await keysOf(store, '')
      for (let start = 0; start < keys.length; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => store.delete(key)))
      }
      const client = new S3Client({ ...place, region, credentials })
      await client.send(new DeleteBucketCommand({ Bucket: bucket }))
      client.destroy()
    },
  }
}

test('of many that start at once each has the bucket, whoever made it', async () => {
  const { store, close } = await openBucket({
    endpoint: fromEnvironment('S3_ENDPOINT'),
    forcePathStyle: true,
  })
  await Promise.all(Array.from({ length: 20 }, () => store.check()))
  await close()
})

test('makes the bucket again that somebody removed', async () => {
  const { store, bucket, close } = await openBucket({
    endpoint: fromEnvironment('S3_ENDPOINT'),
    forcePathStyle: true,
  })
  await store.check()
  // Without its objects, the bucket goes too.
  await close()
  onTestFinished(close)
  expect([await store.head('a.json'), await store.get('a.json')]).toEqual([undefined, undefined])
  expect(await Array.fromAsync(store.list('a'))).toEqual([])
  const attributes = { contentType: 'application/json' }
  const puts = ['a.json', 'b.json'].map((key) =>
    store.put(key, Buffer.from('{}'), attributes, { onlyIfAbsent: true }),
  )
  expect(await Promise.all(puts), bucket).toEqual([true, true])
  expect(await store.get('a.json')).toMatchObject({ size: 2 })
})

test('sets its rule of expiry beside those of others, and sets it anew', async () => {
  const credentials = {
    accessKeyId: fromEnvironment('S3_ACCESS_KEY_ID'),
    secretAccessKey: fromEnvironment('S3_SECRET_ACCESS_KEY'),
  }
  const Bucket = `tendon-test-${randomUUID()}`
  const place = {
    endpoint: fromEnvironment('S3_ENDPOINT'),
    region: fromEnvironment('S3_REGION'),
    forcePathStyle: true,
  }
  const store = createS3Store({ ...place, bucket: Bucket, ...credentials })
  const client = new S3Client({ ...place, credentials })
  onTestFinished(async () => {
    await client.send(new DeleteBucketCommand({ Bucket }))
    client.destroy()
  })
  await store.check()
  const theirs = {
    ID: 'theirs',
    Status: 'Enabled',
    Filter: { Prefix: 'logs/' },
    Expiration: { Days: 1 },
  } as const
  await client.send(
    new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [theirs] } }),
  )
  expect(await store.expireAfter('reports/', 9)).toBe(true)
  expect(await store.expireAfter('reports/', 7)).toBe(true)
  const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
  expect(Rules.map(({ Filter, Expiration }) => [Filter?.Prefix, Expiration?.Days]).sort()).toEqual([
    ['logs/', 1],
    ['reports/', 7],
  ])
})

function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (!value)
    throw new Error(
      `${name} is not set: this suite needs a running S3 service and a key that may make buckets`,
    )
  return value
}
