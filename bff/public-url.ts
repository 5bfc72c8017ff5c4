import { BlockList, isIP, isIPv6 } from 'node:net'
import { z } from 'zod'

/** Loopback, link-local, private and carrier-grade networks (RFC 1122, 3927, 1918, 6598; RFC 4291, 4193). */
const privateNetworks = new BlockList()
for (const [network, bits] of [
  ...([
    ['127.0.0.0', 8],
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ] as const),
  ...([
    ['169.254.0.0', 16],
    ['100.64.0.0', 10],
    ['::1', 128],
    ['fe80::', 10],
    ['fc00::', 7],
  ] as const),
])
  privateNetworks.addSubnet(network, bits, isIPv6(network) ? 'ipv6' : 'ipv4')

/** Names that no public DNS gives: one label, or those reserved for a network of one's own (RFC 6761, 6762, 8375). */
const privateName = /^[^.]+$|\.(?:localhost|local|internal|home\.arpa|lan|test)$/

/**
 * The address that browsers use: scheme, host and port, for the product has the whole of it. By http a session's cookie
 * and a password go in the clear, so that is for this machine and for networks of one's own.
 */
export const publicUrlOption = z
  .url({ protocol: /^https?$/, error: 'not an http or https address', abort: true })
  .refine((text) => new URL(text).href === `${new URL(text).origin}/`, 'not an address without a path')
  .refine((text) => {
    const { protocol, hostname } = new URL(text)
    return protocol === 'https:' || isPrivate(hostname)
  }, 'is http at a public address: put https in front, or use an address of your own network')
  .transform((text) => new URL(text).origin)

function isPrivate(hostname: string): boolean {
  const address = hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) === 0) return privateName.test(address)
  return privateNetworks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
