import { listen } from '@tendon/platform/http-server.ts'
import { createLog } from '@tendon/platform/log.ts'
import { Hono } from 'hono'

/** What a handler costs that does nothing but answer: the mark for everything that does more. */
const answer = JSON.parse(process.env.ANSWER ?? '{}')
const app = new Hono().get('/', (c) => c.json(answer))
const { url } = await listen(
  { fetch: app.fetch },
  { port: 0, log: createLog({ service: 'bench', level: 'fatal' }) },
)
process.stdout.write(`${url}/\n`)
