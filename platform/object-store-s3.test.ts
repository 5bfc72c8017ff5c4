import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createS3Store } from './object-store-s3.ts'

const options = {
  region: 'us-east-1',
  bucket: 'reports',
  accessKeyId: 'id',
  secretAccessKey: 'the-secret',
  forcePathStyle: true,
}

test('tries again when S3 is busy', async () => {
  let asked = 0
  const endpoint = await serve((_request, response) => {
    asked += 1
    if (asked <= 2) response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>')
    else
      response
        .writeHead(200, { 'content-type': 'application/json', etag: '"e"', 'content-length': 2 })
        .end('{}')
  })
  const object = await createS3Store({ ...options, endpoint }).get('a.json')
  expect(object).toMatchObject({ size: 2, etag: '"e"' })
  expect(asked).toBe(3)
})

test('asks again when another conditional write of the key is under way', async () => {
  const conditions: (string | undefined)[] = []
  const endpoint = await serve((request, response) => {
    conditions.push(request.headers['if-none-match'])
    const status = conditions.length === 1 ? 409 : 412
    request.resume().on('end', () => response.writeHead(status).end())
  })
  const attributes = { contentType: 'application/json' }
  const store = createS3Store({ ...options, endpoint })
  expect(await store.put('a.json', Buffer.from('{}'), attributes, { onlyIfAbsent: true })).toBe(false)
  expect(conditions).toEqual(['*', '*'])
})

test('sends no checksum headers that plain S3 services do not know', async () => {
  const headers: string[] = []
  const endpoint = await serve((request, response) => {
    headers.push(...Object.keys(request.headers))
    request.resume().on('end', () => response.writeHead(200).end())
  })
  await createS3Store({ ...options, endpoint }).put('a.json', Buffer.from('{}'), {
    contentType: 'application/json',
  })
  expect(headers.filter((name) => /checksum|crc/.test(name))).toEqual([])
})

test('corrects its clock by that of S3, and tries again', async () => {
  const skewMs = 3_600_000
  const signedAt: number[] = []
  const endpoint = await serve((request, response) => {
    const [date = '', year, month, day, hours, minutes, seconds] =
      /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(request.headers['x-amz-date'])) ?? []
    expect(date).not.toBe('')
    signedAt.push(Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}Z`))
    response.setHeader('date', new Date(Date.now() + skewMs).toUTCString())
    if (signedAt.length === 1) {
      response.writeHead(403).end('<Error><Code>RequestTimeTooSkewed</Code></Error>')
    } else response.writeHead(200, { etag: '"e"', 'content-length': 2 }).end('{}')
  })
  expect(await createS3Store({ ...options, endpoint }).get('a.json')).toMatchObject({ size: 2 })
  expect(signedAt).toHaveLength(2)
  expect(signedAt[1]! - signedAt[0]!).toBeGreaterThan(skewMs - 60_000)
})

test('says why the bucket may not be asked for, though HEAD is refused without a word', async () => {
  const endpoint = await serve((request, response) => {
    response.writeHead(403, { 'content-type': 'application/xml' })
    if (request.method === 'HEAD') response.end()
    else
      response.end('<Error><Code>InvalidAccessKeyId</Code><Message>There is no such key.</Message></Error>')
  })
  await expect(createS3Store({ ...options, endpoint }).check()).rejects.toMatchObject({
    code: 'TENDON-PLATFORM-011',
    cause: { name: 'InvalidAccessKeyId', message: 'There is no such key.' },
  })
})

test('says when the service has no rules for expiry, or does not let us set them', async () => {
  for (const status of [501, 403]) {
    const endpoint = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(status).end('<Error><Code>X</Code></Error>'))
    })
    expect(await createS3Store({ ...options, endpoint }).expireAfter('reports/', 7)).toBe(false)
  }
})

test('fails with a code, and without the secret, when S3 refuses or is away', async () => {
  const refusing = await serve((_request, response) => response.writeHead(403).end())
  for (const endpoint of [refusing, 'http://127.0.0.1:1']) {
    const store = createS3Store({ ...options, endpoint })
    const failure = await store.check().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'TENDON-PLATFORM-011' })
    expect(String(failure)).not.toContain(options.secretAccessKey)
  }
})

test.each([
  ['says nothing', () => {}],
  [
    'stalls in the body',
    (response) => response.writeHead(200, { etag: '"e"', 'content-length': 2 }).write('{'),
  ],
  [
    'breaks off in the body',
    (response) => {
      response.writeHead(200, { etag: '"e"', 'content-length': 2 })
      response.write('{', () => response.destroy())
    },
  ],
] as [string, (response: ServerResponse) => void][])(
  'asks again for what S3 %s of at first',
  async (_, first) => {
    let asked = 0
    const endpoint = await serve((_request, response) => {
      asked += 1
      if (asked === 1) first(response)
      else response.writeHead(200, { etag: '"e"', 'content-length': 2 }).end('{}')
    })
    const object = await createS3Store({ ...options, endpoint }).get('a.json')
    expect(Buffer.from(object?.body ?? [])).toEqual(Buffer.from('{}'))
    expect(asked).toBe(2)
  },
)

test('gives up on a store that hangs in time for whoever waits through the gateway', async () => {
  const hanging: RequestListener[] = [
    () => {},
    (_request, response) => response.writeHead(200, { etag: '"e"', 'content-length': 2 }).write('{'),
  ]
  const attributes = { contentType: 'application/json' }
  const waits = hanging.map(async (listener) => {
    const store = createS3Store({ ...options, endpoint: await serve(listener) })
    const beganAt = performance.now()
    await expect(store.get('a.json')).rejects.toMatchObject({ code: 'TENDON-PLATFORM-011' })
    return performance.now() - beganAt
  })
  const silent = createS3Store({ ...options, endpoint: await serve(() => {}) })
  await expect(silent.put('a.json', Buffer.from('{}'), attributes)).rejects.toMatchObject({
    code: 'TENDON-PLATFORM-011',
  })
  // The bff's patience; five are meant.
  for (const wait of await Promise.all(waits)) expect(wait).toBeLessThan(15_000)
})

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
