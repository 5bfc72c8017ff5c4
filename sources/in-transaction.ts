import { Socket } from 'node:net'
import pg from 'pg'

/**
 * Runs `work` in one transaction on a connection of its own: all of it is kept, or nothing.
 * @param signal cuts the connection, whatever is under way on it
 */
export async function inTransaction<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  signal?.throwIfAborted()
  const socket = new Socket()
  const client = new pg.Client({
    connectionString: url,
    application_name: 'tendon-sources',
    stream: () => socket,
  })
  // A connection that breaks rejects the query under way; without a listener it would end the process too.
  client.on('error', () => {})
  const cut = () => socket.destroy()
  signal?.addEventListener('abort', cut, { once: true })
  try {
    await client.connect()
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    // What the cut broke is not the reason.
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', cut)
    // Closing rolls back what was not committed.
    await client.end()
  }
}
