import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { expect, test } from 'vitest'
import { defineErrors } from './errors.ts'
import { createHttpApp } from './http-app.ts'
import { listen } from './http-server.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const demoErrors = defineErrors('DEMO', {
  busy: { number: 7, status: 503, title: 'Busy', help: 'Wait.', retryAfterSeconds: 3 },
})

function demoApp(ready?: () => Promise<unknown>) {
  const lines: string[] = []
  const log = createLog({ service: 'demo' }, { write: (line) => void lines.push(line) })
  const app = createHttpApp({ log, metrics: createMetrics('demo'), ...(ready && { ready }) })
  app.get('/things/:id', (c) => c.json({ id: c.req.param('id') }))
  app.get('/busy', () => {
    throw demoErrors.busy('The queue of 12 is full.')
  })
  app.get('/broken', () => {
    throw new Error('password=hunter2 at SELECT secret FROM vault')
  })
  return { app, lines, log }
}

test('a coded error becomes a problem document with its code, help and Retry-After', async () => {
  const { app } = demoApp()
  const response = await app.request('/busy', { headers: { 'x-request-id': 'abcdefgh-1' } })
  expect(response.status).toBe(503)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(response.headers.get('retry-after')).toBe('3')
  expect(await response.json()).toEqual({
    type: 'urn:tendon:error:TENDON-DEMO-007',
    title: 'Busy',
    status: 503,
    detail: 'The queue of 12 is full.',
    code: 'TENDON-DEMO-007',
    help: 'Wait.',
    request_id: 'abcdefgh-1',
  })
})

test('an unexpected error leaks nothing to the caller and is logged whole', async () => {
  const { app, lines } = demoApp()
  const response = await app.request('/broken')
  expect(response.status).toBe(500)
  expect(await response.text()).not.toMatch(/hunter2|SELECT/)
  expect(lines.join('')).toContain('hunter2')
})

test('a refusal of the framework is a problem document too', async () => {
  const { app } = demoApp()
  app.post('/small', bodyLimit({ maxSize: 4 }), (c) => c.text('taken'))
  app.get('/malformed', () => {
    throw new HTTPException(422, { message: 'of hunter2' })
  })
  const tooLarge = await app.request('/small', { method: 'POST', body: 'longer than four' })
  expect([tooLarge.status, await tooLarge.json()]).toMatchObject([413, { code: 'TENDON-PLATFORM-013' }])
  expect(tooLarge.headers.get('content-type')).toBe('application/problem+json')
  const malformed = await app.request('/malformed')
  expect(malformed.status).toBe(400)
  expect(await malformed.text()).not.toContain('hunter2')
})

test('every answer has the request id, also one that a handler made by itself', async () => {
  const { app } = demoApp()
  app.get('/own', () => new Response('own'))
  for (const path of ['/own', '/busy', '/things/1', '/nowhere', '/healthz']) {
    const response = await app.request(path, { headers: { 'x-request-id': 'abcdefgh-2' } })
    expect(response.headers.get('x-request-id'), path).toBe('abcdefgh-2')
  }
})

test('an app without operations has none of their routes', async () => {
  const log = createLog({ service: 'demo', level: 'fatal' })
  const app = createHttpApp({ log, metrics: createMetrics('demo'), operations: false })
  for (const path of ['/healthz', '/readyz', '/metrics'])
    expect((await app.request(path)).status, path).toBe(404)
})

test('a request id that is not plain is replaced', async () => {
  const { app } = demoApp()
  const response = await app.request('/things/1', { headers: { 'x-request-id': 'a"b,{}injected' } })
  expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/)
})

test('one log line a request, without its query', async () => {
  const { app, lines } = demoApp()
  // No hexadecimal digits: ids of traces would hold them now and then.
  await app.request('/things/5?sig=xyz')
  await app.request('/healthz')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'request', method: 'GET', path: '/things/5', status: 200 },
  ])
  expect(lines.join('')).not.toContain('xyz')
})

test('metrics count by route pattern, and unknown paths fall into one', async () => {
  const { app } = demoApp()
  await app.request('/things/1')
  await app.request('/things/2')
  expect((await app.request('/wp-admin')).status).toBe(404)
  const text = await (await app.request('/metrics')).text()
  expect(text).toContain(
    'tendon_demo_http_request_duration_seconds_count{method="GET",route="/things/:id",status="200"} 2',
  )
  expect(text).not.toContain('wp-admin')
})

test('readiness tells the truth and keeps the reason in the log', async () => {
  const { app, lines } = demoApp(() => Promise.reject(new Error('clickhouse at 10.0.0.7 refused')))
  const response = await app.request('/readyz')
  expect(response.status).toBe(503)
  expect(await response.text()).not.toContain('10.0.0.7')
  expect(lines.join('')).toContain('10.0.0.7')
  expect((await app.request('/healthz')).status).toBe(200)
})

test('a taken port is said with its code; closing lets a request in flight finish', async () => {
  const { app, log } = demoApp()
  let release = () => {}
  const entered = new Promise<void>((resolve) => {
    app.get('/slow', async (c) => {
      const released = new Promise<void>((go) => {
        release = go
      })
      resolve()
      await released
      return c.text('done')
    })
  })
  const server = await listen(app, { port: 0, log })
  await expect(listen(app, { port: server.port, log })).rejects.toMatchObject({ code: 'TENDON-PLATFORM-004' })
  const slow = fetch(`${server.url}/slow`)
  await entered
  const closed = server.close()
  release()
  expect(await (await slow).text()).toBe('done')
  await closed
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()
})
