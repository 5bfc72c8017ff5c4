// A process that starts a server with a query running in it, and is then killed by its test.
import { startChdbServer } from './start-chdb-server.ts'

const server = await startChdbServer({ dataPath: process.argv[2]! })
const query = 'SELECT sum(sipHash64(number)) FROM numbers(90000000000)'
const headers = { 'X-ClickHouse-User': server.username, 'X-ClickHouse-Key': server.password }
void fetch(`${server.url}/`, { method: 'POST', body: query, headers })
process.send?.({ pid: server.pid() })
