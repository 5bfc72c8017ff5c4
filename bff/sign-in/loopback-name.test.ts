import { expect, test } from 'vitest'
import { isOtherLoopbackName } from './loopback-name.ts'

test.each([
  ['127.0.0.1:8080', 'http://localhost:8080', true],
  ['[::1]:8080', 'http://localhost:8080', true],
  ['localhost:8080', 'http://127.0.0.1:8080', true],
  ['localhost:8080', 'http://localhost:8080', false],
  // Somebody in front, who has told it otherwise.
  ['127.0.0.1:8081', 'http://localhost:8080', false],
  ['127.0.0.1', 'http://localhost:8080', false],
  ['bff:8080', 'http://localhost:8080', false],
  ['127.0.0.1:8080', 'https://reports.example.org', false],
  ['127.0.0.1.example.org:8080', 'http://localhost:8080', false],
  [undefined, 'http://localhost:8080', false],
  ['a b', 'http://localhost:8080', false],
])('asked at %s, where browsers are told %s', (host, publicUrl, isOther) => {
  expect(isOtherLoopbackName(host, publicUrl)).toBe(isOther)
})
