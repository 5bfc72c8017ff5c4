/** `npm run crm -- "UPDATE …"`: one SQL statement in the CRM of the Tendon that is running here. */
import pg from 'pg'

const [sql] = process.argv.slice(2)
const connectionString = process.env.CRM_DATABASE_URL
if (!sql || !connectionString) {
  const missing = sql
    ? 'No Tendon is running here (no connections.env in its data folder).'
    : 'Which statement?'
  process.stderr.write(`${missing}\nUsage: npm run crm -- "SELECT full_name FROM customers LIMIT 5"\n`)
  process.exit(64)
}
const client = new pg.Client({ connectionString })
try {
  await client.connect()
  const result = await client.query(sql)
  process.stdout.write(`${result.command} ${result.rowCount ?? ''}\n`)
  for (const row of result.rows) process.stdout.write(`${JSON.stringify(row)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
} finally {
  await client.end()
}
