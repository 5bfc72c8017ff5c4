import type { ClientBase } from 'pg'
import { z } from 'zod'

/** Last statement of each connection that several parts of a session use; pg itself will queue no more (from 9.0 on). */
const lastStatements = new WeakMap<ClientBase, Promise<unknown>>()

/** The rows of a statement, checked. Statements of one connection wait for each other. */
export async function rowsOf<Row extends z.ZodType>(
  client: ClientBase,
  row: Row,
  sql: string,
  values: unknown[] = [],
): Promise<z.infer<Row>[]> {
  const before = lastStatements.get(client)
  const statement = (async () => {
    await before?.catch(() => {})
    return client.query(sql, values)
  })()
  lastStatements.set(client, statement)
  const result = await statement
  return z.array(row).parse(result.rows)
}
