import { BlockList, isIP, isIPv6 } from 'node:net'
import type { HttpEnv } from '@tendon/platform/http-app.ts'
import type { Context } from 'hono'
import { z } from 'zod'

/** Addresses and networks, as `10.0.0.0/8,192.0.2.7`. */
export const trustedProxiesOption = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .refine(
    (entries) => entries.every(isNetwork),
    'not addresses or networks with commas between, as 10.0.0.0/8',
  )

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const maxBits = isIPv6(address) ? 128 : 32
  return (
    rest.length === 0 &&
    isIP(address) !== 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= maxBits))
  )
}

export type ClientAddress = (c: Context<HttpEnv>) => string

/**
 * Where a request comes from. `X-Forwarded-For` is believed as far as trusted proxies have written it: from its end,
 * the first address that is not one of theirs. Without trusted proxies it is not looked at, for anybody can send it.
 */
export function createClientAddress(trustedProxies: string[]): ClientAddress {
  const trusted = new BlockList()
  for (const entry of trustedProxies) {
    const [address = '', bits] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, Number(bits), family)
  }
  const isTrusted = (address: string) =>
    isIP(address) !== 0 && trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')

  return (c) => {
    const peer = plainAddress(c.env?.incoming?.socket.remoteAddress ?? '')
    if (trustedProxies.length === 0 || !isTrusted(peer)) return peer
    const forwarded = (c.req.header('x-forwarded-for') ?? '')
      .split(',')
      .map((part) => plainAddress(withoutPort(part.trim())))
    const client = forwarded.findLast((address) => !isTrusted(address))
    return client && isIP(client) ? client : peer
  }
}

/** Some proxies write the port too, as RFC 7239 §6 has it: `192.0.2.7:4711`, `[2001:db8::7]:4711`. */
function withoutPort(text: string): string {
  const [, inBrackets, beforePort] = /^(?:\[(.+)\]|([^:]+))(?::\d+)?$/.exec(text) ?? []
  return inBrackets ?? beforePort ?? text
}

/** IPv4 without the form it has on a socket for both. */
const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')

/** An IPv6 address as the /64 that it is in: whoever has one address has all of these (RFC 4291 §2.5.4). */
export function networkOf(address: string): string {
  // Without a colon it is none, and need not be parsed.
  if (!address.includes(':') || !isIPv6(address)) return address
  const [before = '', after] = address.split('%')[0]!.split('::')
  const groups = before.split(':').filter(Boolean)
  const groupsAfter = after?.split(':').filter(Boolean) ?? []
  // Without `::` all eight are there; a last one in IPv4's form stands for two.
  const missing = 8 - groups.length - groupsAfter.length - (address.includes('.') ? 1 : 0)
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill('0'), ...groupsAfter]
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
