/** `npm run crm -- "UPDATE …"`: one SQL statement in the CRM of the Tendon that is running. */
import pg from 'pg'

const [sql] = process.argv.slice(2)
const connectionString = process.env.CRM_DATABASE_URL
const usage = 'Usage: npm run crm -- [--data <folder>] "SELECT full_name FROM customers LIMIT 5"\n'
if (sql === '--help') {
  process.stdout.write(usage)
  process.exit(0)
}
if (!sql || !connectionString) {
  process.stderr.write(`${sql ? 'CRM_DATABASE_URL is not set.' : 'Which statement?'}\n${usage}`)
  process.exit(64)
}
const client = new pg.Client({ connectionString })
try {
  await client.connect()
  // The extended protocol takes one statement, and refuses several before any is done.
  const result = await client.query({ text: sql, queryMode: 'extended' } as pg.QueryConfig)
  // Standard output carries the rows alone.
  process.stderr.write(`${result.command} ${result.rowCount ?? ''}\n`)
  for (const row of result.rows) process.stdout.write(`${JSON.stringify(row)}\n`)
} catch (error) {
  const { message, position } = error as pg.DatabaseError
  process.stderr.write(`${message}${position ? ` (character ${position})` : ''}\n`)
  process.exitCode = 1
} finally {
  await client.end()
}
