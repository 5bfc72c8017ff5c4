import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { afterAll, expect, test } from 'vitest'
import { createFloat64Column, createTextColumn, readCopyBinary } from './copy-binary.ts'

const postgres = await startTestPostgres()
afterAll(() => postgres.remove())

async function copy(sql: string): Promise<Buffer> {
  const client = new pg.Client({ connectionString: await postgres.freshDatabase() })
  await client.connect()
  try {
    const chunks: Buffer[] = await client.query(copyTo(`COPY (${sql}) TO STDOUT (FORMAT binary)`)).toArray()
    return Buffer.concat(chunks)
  } finally {
    await client.end()
  }
}

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length)
}

async function read(bytes: Buffer, length = bytes.length) {
  const text = createTextColumn()
  const number = createFloat64Column()
  const rows = await readCopyBinary(inPieces(bytes, length), [text, number])
  return { rows, text: text.values(), number: [...number.values()] }
}

test('reads what PostgreSQL writes, wherever its pieces end', async () => {
  const bytes = await copy(
    "VALUES ('', 0.1::float8), ('Ærø 🦾', NULL), ('c', '-0'::float8), ('d', 'Infinity'::float8), ('e', 5e-324::float8)",
  )
  const expected = {
    rows: 5,
    text: ['', 'Ærø 🦾', 'c', 'd', 'e'],
    number: [0.1, Number.NaN, -0, Number.POSITIVE_INFINITY, 5e-324],
  }
  for (const length of [bytes.length, 1, 2, 3, 7, 64]) expect(await read(bytes, length)).toEqual(expected)
})

test('columns grow', async () => {
  const bytes = await copy('SELECT i::text, i::float8 FROM generate_series(1, 5000) AS i')
  const { rows, text, number } = await read(bytes, 4096)
  expect(rows).toBe(5000)
  expect(text.map(Number)).toEqual(number)
  expect(number.at(-1)).toBe(5000)
})

test('refuses what is cut short, has other columns or is not binary', async () => {
  const bytes = await copy("VALUES ('a', 1::float8), ('b', 2::float8)")
  for (const length of [0, 10, 19, 30, bytes.length - 2]) {
    await expect(read(bytes.subarray(0, length), 16)).rejects.toThrow('without its trailer')
  }
  await expect(read(await copy("VALUES ('a', 1::float8, 2::float8)"))).rejects.toThrow('rows of 3 fields')
  await expect(read(await copy("VALUES ('a', 1::float4)"))).rejects.toThrow('A float8 has 8 bytes, not 4')
  await expect(read(await copy('VALUES (NULL, 1::float8)'))).rejects.toThrow('holds a null')
  await expect(read(Buffer.from('a\t1\nb\t2\n'.repeat(9)))).rejects.toThrow('signature')
})
