import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { openS3 } from '../open-stores.ts'

/** A store at an S3 service of one bucket, which keeps no bytes: what it is asked, and its answer to each PUT of an object. */
async function openAt(answerPut: (isThere: boolean, condition: string | undefined) => number) {
  const asked: string[] = []
  const objects = new Set<string>()
  const server = createServer((request, response) => {
    const { method, url = '' } = request
    const path = new URL(url, 'http://s3').pathname
    asked.push(`${method} ${path}`)
    const status = method === 'PUT' ? answerPut(objects.has(path), request.headers['if-none-match']) : 200
    if (status === 200) objects.add(path)
    request.resume().on('end', () => response.writeHead(status, { etag: '"e"' }).end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const store = openS3({
    s3Endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    s3Region: 'us-east-1',
    s3Bucket: 'tendon',
    s3AccessKeyId: 'id',
    s3SecretAccessKey: 'secret',
    s3ForcePathStyle: true,
  })
  return { store, asked }
}

const put = 'PUT /tendon/reports/written-once'
const head = 'HEAD /tendon/'

test('an S3 service that replaces objects, whatever it is asked, cannot be used', async () => {
  const { store } = await openAt(() => 200)
  for (let times = 0; times < 2; times += 1) {
    await expect(store.check()).rejects.toMatchObject({
      code: 'TENDON-REPORTS-014',
      message: expect.stringContaining('reports/written-once'),
    })
  }
})

test('one that knows conditional writes is asked to prove it once', async () => {
  const { store, asked } = await openAt((isThere, condition) => (isThere && condition === '*' ? 412 : 200))
  await store.check()
  expect(asked).toEqual([head, put, put])
  await store.check()
  expect(asked).toEqual([head, put, put, head])
})

test('one that does not answer has proven nothing yet', async () => {
  let isAway = true
  const { store, asked } = await openAt((isThere) => (isAway ? 400 : isThere ? 412 : 200))
  await expect(store.check()).rejects.toMatchObject({ code: 'TENDON-PLATFORM-011' })
  isAway = false
  await store.check()
  expect(asked).toEqual([head, put, head, put, put])
})
