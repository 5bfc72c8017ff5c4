import pg from 'pg'

/** Runs `work` in one transaction on a connection of its own: all of it is kept, or nothing. */
export async function inTransaction<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url, application_name: 'tendon-sources' })
  await client.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } finally {
    // Closing rolls back what was not committed.
    await client.end()
  }
}
