import { debianProgram } from '../install.ts'
import { type Part, portOf, runFolder } from '../part.ts'

const port = portOf(16_379)

export const redis: Part = {
  name: 'redis',
  port,
  prepare: () => ({
    program: debianProgram('redis-server', 'redis-server'),
    args: [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      runFolder,
    ],
  }),
  exports: () => ({ REDIS_URL: `redis://127.0.0.1:${port}` }),
}
