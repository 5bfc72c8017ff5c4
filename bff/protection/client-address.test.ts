import type { IncomingMessage } from 'node:http'
import type { HttpEnv } from '@tendon/platform/http-app.ts'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { createClientAddress, networkOf, trustedProxiesOption } from './client-address.ts'

/** The address that is found for a request from this peer. */
async function addressOf(peer: string, forwardedFor: string | undefined, trusted: string): Promise<string> {
  const clientAddress = createClientAddress(trusted ? trustedProxiesOption.parse(trusted) : [])
  const app = new Hono<HttpEnv>().get('/', (c) => c.text(clientAddress(c)))
  const env = { incoming: { socket: { remoteAddress: peer } } as IncomingMessage } as HttpEnv['Bindings']
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  return (await app.request('/', { headers }, env)).text()
}

test.each([
  ['without trusted proxies the header is nobody’s word', '192.0.2.1', '203.0.113.9', '', '192.0.2.1'],
  ['nor is it from a peer that is no proxy', '192.0.2.1', '203.0.113.9', '10.0.0.0/8', '192.0.2.1'],
  ['a proxy is believed', '10.0.0.1', '203.0.113.9', '10.0.0.0/8', '203.0.113.9'],
  [
    'but not what its client wrote in front',
    '10.0.0.1',
    '127.0.0.1, 203.0.113.9',
    '10.0.0.0/8',
    '203.0.113.9',
  ],
  ['several proxies in a row', '10.0.0.1', '203.0.113.9, 10.9.9.9', '10.0.0.0/8', '203.0.113.9'],
  ['IPv6', '::1', '2001:db8::7', '::1/128', '2001:db8::7'],
  ['IPv4 in IPv6', '::ffff:10.0.0.1', '203.0.113.9', '10.0.0.0/8', '203.0.113.9'],
  ['a port behind it', '10.0.0.1', '203.0.113.9:4711', '10.0.0.0/8', '203.0.113.9'],
  ['a port behind IPv6', '::1', '[2001:db8::7]:4711', '::1/128', '2001:db8::7'],
  ['nonsense is not an address', '10.0.0.1', '<script>', '10.0.0.0/8', '10.0.0.1'],
  ['no header', '10.0.0.1', undefined, '10.0.0.0/8', '10.0.0.1'],
])('%s', async (_what, peer, forwardedFor, trusted, expected) => {
  expect(await addressOf(peer, forwardedFor, trusted)).toBe(expected)
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::6', '2001:db8:1:2::/64'],
  ['2001:0db8:0001::6', '2001:db8:1:0::/64'],
  ['2001:db8::3:4:5:6', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('what one client may have of addresses, as %s, is one network', (address, network) =>
  expect(networkOf(address)).toBe(network),
)

test.each(['10.0.0.0/33', '10.0.0', 'proxy.example', '10.0.0.1/8/8', '::1/129', ''])(
  'not a network: %j',
  (text) => expect(trustedProxiesOption.safeParse(text).success).toBe(false),
)
