import { bffErrors } from '../errors.ts'
import type { GatewayRoute } from './route-table.ts'

/** RFC 3986 §3.3: the characters of a path, each as itself or encoded. */
const plainPath = /^(?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+$/
/** RFC 3986 §3.4. */
const plainQuery = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/

export type MatchedRoute = { route: GatewayRoute; upstreamPath: string }

/**
 * The route of a request target as it was sent, and what to ask the service for; undefined when there is none.
 *
 * Two readers of one path must not read two paths: what a service or a proxy on the way could resolve, decode or
 * repair is refused (dot segments, empty segments, encoded slashes, backslashes, double encoding, absolute forms).
 * @throws TENDON-BFF-017, and -011 for a parameter
 */
export function matchRoute(routes: GatewayRoute[], target: string): MatchedRoute | undefined {
  const [path = '', query, ...rest] = splitTarget(target)
  if (rest.length > 0 || !plainPath.test(path) || path.slice(1).split('/').some(isRepaired)) {
    throw bffErrors.pathRefused('The path has a form that could be read in several ways.')
  }
  const route = longestMatch(routes, path)
  if (!route) return undefined
  const behind = path.slice(route.prefix.length)
  if (!route.rest.test(behind)) return undefined
  const upstreamPath = route.upstreamPrefix + behind
  if (query === undefined || query === '') return { route, upstreamPath }
  checkQuery(route, query)
  return { route, upstreamPath: `${upstreamPath}?${query}` }
}

function splitTarget(target: string): string[] {
  const at = target.indexOf('?')
  return at === -1 ? [target] : [target.slice(0, at), target.slice(at + 1)]
}

function longestMatch(routes: GatewayRoute[], path: string): GatewayRoute | undefined {
  let longest: GatewayRoute | undefined
  for (const route of routes) {
    const { length } = route.prefix
    const isWhole = path.length === length || path[length] === '/'
    if (isWhole && path.startsWith(route.prefix) && length > (longest?.prefix.length ?? 0)) longest = route
  }
  return longest
}

function isRepaired(segment: string): boolean {
  if (segment === '') return true
  const decoded = segment.includes('%') ? decodeSegment(segment) : segment
  return decoded === undefined || decoded === '.' || decoded === '..' || /[/\\%\p{Cc}]/u.test(decoded)
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

function checkQuery(route: GatewayRoute, query: string): void {
  if (!plainQuery.test(query)) throw bffErrors.requestInvalid('query: has characters that must be encoded.')
  const parameters = [...new URLSearchParams(query)]
  for (const [name, value] of parameters) {
    const type = Object.hasOwn(route.query, name) ? route.query[name] : route.otherQuery
    if (!type) throw bffErrors.requestInvalid(`query.${name}: is not known here.`)
    if (!type.test(value)) throw bffErrors.requestInvalid(`query.${name}: is not as it should be.`)
  }
  if (new Set(parameters.map(([name]) => name)).size < parameters.length) {
    throw bffErrors.requestInvalid('query: names something twice.')
  }
}
