import { expect, test } from 'vitest'
import { chooseAddresses } from './addresses.ts'

const ports = { public: 8080, reports: 4001 }
const addresses = (host: string, publicUrl?: string) => chooseAddresses({ host, publicUrl }, ports)

test('the process reaches itself where it listens', () => {
  expect(addresses('127.0.0.1').loopbackUrl).toBe('http://127.0.0.1:8080')
  expect(addresses('0.0.0.0').loopbackUrl).toBe('http://127.0.0.1:8080')
  expect(addresses('::').loopbackUrl).toBe('http://[::1]:8080')
  expect(addresses('192.0.2.7').loopbackUrl).toBe('http://192.0.2.7:8080')
  expect(addresses('2001:db8::7').loopbackUrl).toBe('http://[2001:db8::7]:8080')
})

test('browsers are told an address that leads here', () => {
  expect(addresses('127.0.0.1').publicUrl).toBe('http://localhost:8080')
  expect(addresses('0.0.0.0').publicUrl).toBe('http://localhost:8080')
  expect(addresses('192.0.2.7').publicUrl).toBe('http://192.0.2.7:8080')
  expect(addresses('0.0.0.0', 'https://reports.example.org').publicUrl).toBe('https://reports.example.org')
})
