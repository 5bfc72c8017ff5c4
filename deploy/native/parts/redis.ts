import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { debianProgram } from '../install.ts'
import { deployFile, type Part, portOf, runFolder } from '../part.ts'

const port = portOf(16_379)

export const redis: Part = {
  name: 'redis',
  port,
  prepare() {
    const folder = join(runFolder, 'redis')
    mkdirSync(folder, { recursive: true })
    return {
      program: debianProgram('redis-server', 'redis-server'),
      args: [deployFile('redis/redis.conf'), '--bind', '127.0.0.1', '--port', String(port), '--dir', folder],
    }
  },
  exports: () => ({ REDIS_URL: `redis://127.0.0.1:${port}` }),
}
