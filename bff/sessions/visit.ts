import type { HttpEnv } from '@tendon/platform/http-app.ts'
import Bowser from 'bowser'
import type { Context } from 'hono'
import type { ClientAddress } from '../protection/client-address.ts'

/** From where a session is used, as its owner sees it in a list. */
export type Visit = {
  /** As in `Firefox on Windows`. */
  device: string
  /** The client's IP address. */
  address: string
}

const maxUserAgentLength = 512

export function visitOf(c: Context<HttpEnv>, clientAddress: ClientAddress): Visit {
  return { device: deviceOf(c.req.header('user-agent')), address: clientAddress(c) }
}

function deviceOf(userAgent: string | undefined): string {
  if (!userAgent) return 'unknown device'
  const { browser, os } = Bowser.parse(userAgent.slice(0, maxUserAgentLength))
  if (!browser.name) return 'unknown browser'
  return os.name ? `${browser.name} on ${os.name}` : browser.name
}
