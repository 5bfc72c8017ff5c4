import { expect, test } from 'vitest'
import { publicUrlOption } from './public-url.ts'

test.each([
  ['https://reports.example.org/', 'https://reports.example.org'],
  ['https://203.0.113.7:8443', 'https://203.0.113.7:8443'],
  ['http://localhost:8080', 'http://localhost:8080'],
  ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ['http://[::1]:8080', 'http://[::1]:8080'],
  ['http://192.168.1.5:8080', 'http://192.168.1.5:8080'],
  ['http://[fd00::7]', 'http://[fd00::7]'],
  ['http://workstation:8080', 'http://workstation:8080'],
  ['http://clinic.local', 'http://clinic.local'],
])('%s is an address that browsers may use', (text, origin) =>
  expect(publicUrlOption.parse(text)).toBe(origin),
)

test.each([
  'http://reports.example.org',
  'http://203.0.113.7:8080',
  'http://[2001:db8::7]',
  'http://172.32.0.1',
  'http://localhost.example.org',
  'https://example.org/reports',
  'https://example.org/?a',
  'ftp://example.org',
  'here',
])('%s is none', (text) => expect(publicUrlOption.safeParse(text).success).toBe(false))
