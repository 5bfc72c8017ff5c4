import { describe, expect, test } from 'vitest'
import { parseRedisUrl } from './redis-connection.ts'

const none = { db: 0 }

describe('addresses of Redis', () => {
  test.each([
    ['redis://127.0.0.1', { kind: 'server', node: { host: '127.0.0.1', port: 6379 }, credentials: none }],
    [
      'rediss://tendon:p%40ss@cache.example:6380/3',
      {
        kind: 'server',
        node: { host: 'cache.example', port: 6380 },
        credentials: { username: 'tendon', password: 'p@ss', tls: {}, db: 3 },
      },
    ],
    [
      'redis://:secret@[::1]:7',
      { kind: 'server', node: { host: '::1', port: 7 }, credentials: { password: 'secret', db: 0 } },
    ],
    [
      'redis+sentinel://one,two:26380/main/2',
      {
        kind: 'sentinel',
        master: 'main',
        nodes: [
          { host: 'one', port: 26_379 },
          { host: 'two', port: 26_380 },
        ],
        credentials: { db: 2 },
      },
    ],
    [
      'rediss+cluster://a:1,b:2',
      {
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
        ],
        credentials: { tls: {}, db: 0 },
      },
    ],
  ])('%s', (url, address) => {
    expect(parseRedisUrl(url)).toEqual(address)
  })

  test.each([
    'http://127.0.0.1:6379',
    'redis://a,b',
    'redis://a/not-a-number',
    'redis+sentinel://a:26379',
    'redis+cluster://a/1',
    'redis://',
  ])('%s is refused, without what may be a password in the reason', (url) => {
    expect(() => parseRedisUrl(url)).toThrow()
  })
})
