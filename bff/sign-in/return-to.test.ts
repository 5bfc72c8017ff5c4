import fc from 'fast-check'
import { expect, test } from 'vitest'
import { returnTo } from './return-to.ts'

const accepted = (text: string) => returnTo.safeParse(text).success

test.each([
  '/',
  '/reports/2026-01-31',
  '/reports?day=2026-01-31#chart',
  '/a//b',
  '/%2F%2Fevil.example',
  '/@evil.example',
])('a path of this site is accepted: %s', (path) => expect(accepted(path)).toBe(true))

test.each([
  '',
  'reports',
  'https://evil.example/',
  'javascript:alert(1)',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '\\/evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/..//evil.example',
  '/.//evil.example',
  '/%2e//evil.example',
  '/\u0000',
  ' /',
  '/a b',
  `/${'a'.repeat(3_000)}`,
])('anything else is refused: %j', (path) => expect(accepted(path)).toBe(false))

test('whatever is accepted, a browser stays on the site', () => {
  const origin = 'https://reports.example.com'
  const piece = fc.constantFrom(
    '/',
    '\\',
    '.',
    '..',
    '%2e',
    '%2F',
    '@',
    ':',
    '?',
    '#',
    '\t',
    '\r\n',
    ' ',
    'evil.example',
    'http',
    'é',
  )
  const paths = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
    fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
    fc.string(),
    fc.webUrl(),
  )
  fc.assert(
    fc.property(paths, (path) => {
      if (!accepted(path)) return
      const landed = new URL(path, `${origin}/callback?code=x`)
      expect(landed.origin).toBe(origin)
      // Nor does what it landed on lead away when it is taken as a path again.
      expect(new URL(landed.pathname, origin).origin).toBe(origin)
    }),
    { numRuns: 20_000 },
  )
})
