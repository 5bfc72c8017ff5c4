import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createWarehouse, type Warehouse } from '@tendon/warehouse/client.ts'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { startTestWarehouse } from '../fixtures/test-warehouse.fixture.ts'
import { createReadWarehouse } from './read-warehouse.ts'

const query = (sql: string) => ({ name: 'asked', sql, params: z.object({}), row: z.unknown() })
const readOf = (warehouse: Warehouse, timeoutMs: number) =>
  createReadWarehouse({ warehouse, concurrentQueries: 1, queueLimit: 10, timeoutMs })

/** A ClickHouse that misbehaves; resolves with the address of its first request once that one's connection is closed. */
async function startStuckClickHouse(answer: RequestListener) {
  const closed = Promise.withResolvers<URL>()
  const server = createServer((request, response) => {
    request.socket.once('close', () => closed.resolve(new URL(request.url ?? '', 'http://clickhouse')))
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const warehouse = createWarehouse({ url, username: 'default', password: '', maxConnections: 1 })
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await warehouse.close()
  })
  return { warehouse, closed: closed.promise }
}

test('a query whose time is over lets go of its connection, and ClickHouse is told how long it may take', async () => {
  const stuck: RequestListener[] = [
    () => {},
    (_, response) => response.writeHead(200).write('{"number": 1}\n{"num'),
  ]
  for (const answer of stuck) {
    const { warehouse, closed } = await startStuckClickHouse(answer)
    await expect(readOf(warehouse, 1_500)(query('SELECT 1'), {})).rejects.toMatchObject({
      code: 'TENDON-REPORTS-007',
    })
    expect(Object.fromEntries((await closed).searchParams)).toMatchObject({
      max_execution_time: '1.5',
      readonly: '2',
      cancel_http_readonly_queries_on_client_close: '1',
    })
  }
})

test('so many run at once, so many wait, and what comes then is refused until there is room', async () => {
  let asked = 0
  const { promise: isAsked, resolve: onAsked } = Promise.withResolvers<void>()
  const { warehouse } = await startStuckClickHouse(() => {
    asked += 1
    onAsked()
  })
  const read = createReadWarehouse({ warehouse, concurrentQueries: 1, queueLimit: 2, timeoutMs: 500 })
  const held = [1, 2, 3].map(() => read(query('SELECT 1'), {}))
  const outcomes = Promise.allSettled(held)
  await isAsked
  await expect(read(query('SELECT 1'), {})).rejects.toMatchObject({ code: 'TENDON-REPORTS-011' })
  expect(asked).toBe(1)
  // One after the other their time is over.
  const codes = (await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.code)
  expect(codes).toEqual(Array(3).fill('TENDON-REPORTS-007'))
  await expect(read(query('SELECT 1'), {})).rejects.toMatchObject({ code: 'TENDON-REPORTS-007' })
})

test('rows of another shape than declared are a fault of the query, and not of ClickHouse', async () => {
  const tested = await startTestWarehouse()
  onTestFinished(tested.remove)
  const misdeclared = { ...query('SELECT 1 AS one'), row: z.object({ one: z.string() }) }
  await expect(readOf(tested.warehouse, 60_000)(misdeclared, {})).rejects.toMatchObject({
    code: 'TENDON-WAREHOUSE-003',
  })
})

test('such a query has ended at ClickHouse, and the next one is answered', async () => {
  const tested = await startTestWarehouse()
  onTestFinished(tested.remove)
  await expect(
    readOf(tested.warehouse, 500)(query('SELECT count() FROM system.numbers'), {}),
  ).rejects.toMatchObject({ code: 'TENDON-REPORTS-007' })
  const running = query(
    "SELECT query FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'",
  )
  await expect.poll(() => tested.warehouse.query(running, {}), { timeout: 60_000 }).toEqual([])
  expect(await readOf(tested.warehouse, 60_000)(query('SELECT 1 AS one'), {})).toEqual([{ one: 1 }])
})
