/** `npm run crm -- "UPDATE …"`, `npm run telemetry -- "INSERT …"`: one SQL statement at a source of the Tendon that is running. */
import pg from 'pg'

const sources = {
  crm: { variable: 'CRM_DATABASE_URL', example: 'SELECT full_name FROM customers LIMIT 5' },
  telemetry: { variable: 'TELEMETRY_DATABASE_URL', example: 'SELECT * FROM telemetry_events LIMIT 5' },
}

const [source, sql] = process.argv.slice(2) as [keyof typeof sources, string?]
const { variable, example } = sources[source]
const connectionString = process.env[variable]
const usage = `Usage: npm run ${source} -- [--data <folder>] "${example}"
One statement; of a row each value is PostgreSQL's text, a line of JSON for each row.
`
if (sql === '--help') {
  process.stdout.write(usage)
  process.exit(0)
}
if (!sql || !connectionString) {
  process.stderr.write(`${sql ? `${variable} is not set.` : 'Which statement?'}\n${usage}`)
  process.exit(64)
}
/** JavaScript has no infinity of dates, and a JSON value's text is more than its value. */
const asText: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text }
const syntaxError = '42601'
const client = new pg.Client({ connectionString })
try {
  await client.connect()
  // The extended protocol takes one statement, and refuses several before any is done.
  const result = await client.query({ text: sql, queryMode: 'extended', types: asText } as pg.QueryConfig)
  // Standard output carries the rows alone.
  process.stderr.write(`${[result.command, result.rowCount].filter((part) => part !== null).join(' ')}\n`)
  for (const row of result.rows) process.stdout.write(`${JSON.stringify(row)}\n`)
} catch (error) {
  const { message, position, code } = error as pg.DatabaseError
  const isSeveral = code === syntaxError && message.includes('multiple commands')
  const reason = isSeveral ? 'These are several statements; one at a time.' : message
  process.stderr.write(`${reason}${position ? ` (character ${position})` : ''}\n`)
  process.exitCode = 1
} finally {
  await client.end()
}
