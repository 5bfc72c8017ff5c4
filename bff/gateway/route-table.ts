import type { BffConfig } from '../options.ts'

/** What stands behind a path of the API: the only way to a service is a line of this table. */
export type GatewayRoute = {
  /** Begins the path, up to a slash or its end; of several, the longest. */
  prefix: string
  /** What may follow the prefix; anything else is not found, and reaches nobody. */
  rest: RegExp
  /** Origins of the service's instances. */
  upstreams: string[]
  /** Takes the prefix's place. */
  upstreamPrefix: string
  /** Name of the service in tokens' `aud`: a token that is not for it is not sent there. */
  audience: string
  methods: string[]
  /** The parameters that pass, each at most once, and what they may be. */
  query: Record<string, RegExp>
  /** What parameters of other names may be; without it there are none. */
  otherQuery?: RegExp | undefined
  timeouts: { headersMs: number; bodyMs: number }
  maxRequestBytes: number
  /** Whether requests of one session for the same thing at the same time become one. */
  isCoalesced: boolean
  /** Whether it tells who there is: each question is in the audit log. */
  findsOthers?: boolean
}

/** `GET /api/reports…`: reports are read, and only read, through here. */
export function gatewayRoutes(
  config: Pick<BffConfig, 'reportsServiceUrl' | 'reportsTimeoutMs'>,
): GatewayRoute[] {
  const reports = {
    upstreams: config.reportsServiceUrl,
    audience: 'reports-service',
    methods: ['GET', 'HEAD'],
    // Staff name whose reports they want; who may do so is for the service to say.
    query: { user_id: /^[0-9a-f-]{36}$/i },
    // What else a report is asked by, each declares: plain words.
    otherQuery: /^[a-z0-9]{1,16}$/,
    timeouts: { headersMs: config.reportsTimeoutMs, bodyMs: config.reportsTimeoutMs },
    maxRequestBytes: 0,
    isCoalesced: true,
  }
  return [
    {
      ...reports,
      prefix: '/api/reports/cdn',
      rest: /^\/[\d-]+$/,
      upstreamPrefix: '/reports/prosthesis-daily',
    },
    {
      ...reports,
      prefix: '/api/reports/customers',
      rest: /^$/,
      upstreamPrefix: '/customers',
      findsOthers: true,
      // Names of any script; what it may be is for the service to say.
      query: { query: /^[^\p{Cc}]{1,200}$/u },
      otherQuery: undefined,
    },
    {
      ...reports,
      prefix: '/api/reports/openapi.json',
      rest: /^$/,
      upstreamPrefix: '/openapi.json',
      query: {},
      otherQuery: undefined,
    },
    {
      ...reports,
      prefix: '/api/reports',
      rest: /^(\/[a-z0-9][a-z0-9-]{0,63}\/[\d-]+)?$/,
      upstreamPrefix: '/reports',
    },
  ]
}
