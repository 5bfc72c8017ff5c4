import { randomUUID } from 'node:crypto'
import { DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { keysOf, objectStoreSuite } from './object-store.suite.ts'
import { createS3Store } from './object-store-s3.ts'

objectStoreSuite('S3 store', async () => {
  const endpoint = fromEnvironment('S3_ENDPOINT')
  const accessKeyId = fromEnvironment('S3_ACCESS_KEY_ID')
  const secretAccessKey = fromEnvironment('S3_SECRET_ACCESS_KEY')
  const region = 'us-east-1'
  const bucket = `tendon-test-${randomUUID()}`
  const store = createS3Store({
    endpoint,
    region,
    bucket,
    accessKeyId,
    secretAccessKey,
    forcePathStyle: true,
  })

  return {
    store,
    async close() {
      const keys = await keysOf(store, '')
      for (let start = 0; start < keys.length; start += 50) {
        await Promise.all(keys.slice(start, start + 50).map((key) => store.delete(key)))
      }
      const credentials = { accessKeyId, secretAccessKey }
      const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials })
      await client.send(new DeleteBucketCommand({ Bucket: bucket }))
      client.destroy()
    },
  }
})

function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (!value)
    throw new Error(
      `${name} is not set: this suite needs a running S3 service and a key that may make buckets`,
    )
  return value
}
