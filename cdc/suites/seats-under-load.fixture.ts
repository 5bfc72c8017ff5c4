import { nobody } from '../derive/known-tables.ts'
import { withConnection } from './replica-of-source.fixture.ts'

/** A table with a key of two columns, and rows that four writers can go on changing. */
export const seats = `CREATE TABLE seats (id integer, row text, holder text, PRIMARY KEY (id, row));
  INSERT INTO seats SELECT n, 'row ' || n % 7, 'holder ' || n FROM generate_series(1, 5000) n`

export const seatsEntries = [{ name: 'public.seats', users: nobody }]

/** Runs while four connections insert, update, delete, move and roll back, each in rows of its own. */
export async function underLoad<Result>(url: string, run: () => Promise<Result>): Promise<Result> {
  let isWriting = true
  const writers = [0, 1, 2, 3].map((writer) =>
    withConnection(url, async (client) => {
      for (let turn = 0; isWriting; turn++) {
        const id = (step: number) => writer * 1250 + ((turn * step) % 1250)
        await client.query('BEGIN')
        await client.query(`UPDATE seats SET holder = holder || $1 WHERE id = $2`, [writer, id(17)])
        await client.query('DELETE FROM seats WHERE id = $1', [id(7)])
        await client.query(`UPDATE seats SET row = row || '!' WHERE id = $1`, [id(11)])
        await client.query(`INSERT INTO seats VALUES ($1, 'row', 'x') ON CONFLICT DO NOTHING`, [id(3)])
        await client.query(turn % 5 === 4 ? 'ROLLBACK' : 'COMMIT')
      }
    }),
  )
  try {
    return await run()
  } finally {
    isWriting = false
    await Promise.all(writers)
  }
}
