import { startTestPostgres } from '@tendon/sources/test-database.fixture.ts'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { afterAll, expect, test } from 'vitest'
import {
  createKeyColumn,
  createPackedRowsColumn,
  createTextColumn,
  createTimestampColumn,
  readCopyBinary,
} from './copy-binary.ts'

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
  const time = createTimestampColumn()
  const packed: string[] = []
  const key = createKeyColumn()
  const column = createPackedRowsColumn((piece) => packed.push(`${key.value()}:${piece.toString('hex')}`))
  const textAndKey = {
    append(...field: Parameters<typeof text.append>) {
      text.append(...field)
      key.append(...field)
    },
  }
  const rows = await readCopyBinary(inPieces(bytes, length), [textAndKey, time, column])
  return { rows, text: text.values(), time: time.values(), packed }
}

test('reads what PostgreSQL writes, wherever its pieces end', async () => {
  const bytes = await copy(
    `VALUES ('', '2026-03-01 00:00:00.000001Z'::timestamptz, '\\x'::bytea), ('Ærø 🦾', '1999-12-31 23:59:59.999999Z', '\\xff00'), ('c', '2000-01-01Z', NULL)`,
  )
  const expected = {
    rows: 3,
    text: ['', 'Ærø 🦾', 'c'],
    time: [Date.UTC(2026, 2, 1) * 1000 + 1, Date.UTC(2000, 0, 1) * 1000 - 1, Date.UTC(2000, 0, 1) * 1000],
    packed: [':', 'Ærø 🦾:ff00', 'c:'],
  }
  for (const length of [bytes.length, 1, 2, 3, 7, 64]) expect(await read(bytes, length)).toEqual(expected)
})

test('a row that is far longer than its pieces is put together once', async () => {
  const length = 32_000_000
  const bytes = await copy(
    `VALUES ('a', '2026-01-01Z'::timestamptz, '\\x01'::bytea), ('b', '2026-01-02Z', convert_to(repeat('x', ${length}), 'UTF8')), ('c', '2026-01-03Z', NULL)`,
  )
  // Copied with each piece anew, these would be half a terabyte.
  const { text, packed } = await read(bytes, 1_000)
  expect(text).toEqual(['a', 'b', 'c'])
  expect(packed.map((hex) => hex.length)).toEqual([4, 2 + 2 * length, 2])
})

test('refuses what is cut short, has other columns or is not binary', async () => {
  const bytes = await copy(
    "VALUES ('a', '2026-01-01Z'::timestamptz, '\\x01'::bytea), ('b', '2026-01-02Z', '\\x02')",
  )
  for (const length of [0, 10, 19, 30, bytes.length - 2]) {
    await expect(read(bytes.subarray(0, length), 16)).rejects.toThrow('without its trailer')
  }
  await expect(read(await copy("VALUES ('a', 1::float8)"))).rejects.toThrow('rows of 2 fields')
  await expect(read(await copy("VALUES ('a', 1::float4, ''::bytea)"))).rejects.toThrow(
    'A timestamptz has 8 bytes, not 4',
  )
  await expect(read(await copy("VALUES (NULL, now(), ''::bytea)"))).rejects.toThrow('holds a null')
  await expect(read(Buffer.from('a\t1\nb\t2\n'.repeat(9)))).rejects.toThrow('signature')
})
