import { problem } from '@tendon/contracts/problem.ts'
import { customerList, reportLink, reportList } from '@tendon/contracts/reports-api.ts'
import { ownSessions, revokedSessions, sessionUser } from '@tendon/contracts/session-api.ts'
import type { TendonError } from '@tendon/platform/errors.ts'
import type { HttpApp, HttpEnv } from '@tendon/platform/http-app.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { Hono } from 'hono'
import { z } from 'zod'
import { bffErrors } from './errors.ts'

type ErrorFactory = { code: string; definition: TendonError['definition'] }

const limited = [bffErrors.tooManyRequests, platformErrors.keyValueUnavailable]
const session = [bffErrors.notSignedIn, bffErrors.sessionEnded, ...limited]
/** What needs to know what the provider says by now. */
const fresh = [...session, bffErrors.providerUnavailable]
const changing = [bffErrors.crossSiteRefused]
/** What the gateway itself may answer; the service behind it has a description of its own. */
const gateway = [
  ...fresh,
  bffErrors.requestInvalid,
  bffErrors.pathRefused,
  bffErrors.audienceMissing,
  bffErrors.requestTooLarge,
  bffErrors.methodNotAllowed,
  platformErrors.notFound,
  bffErrors.upstreamUnavailable,
  bffErrors.upstreamTimeout,
]
/** What the service behind answers beside, in the same form, stands in a description of its own. */
const behindStatuses = [400, 403, 404, 503]
const behindDocument = '/api/reports/openapi.json'

const csrf = {
  name: 'x-tendon-csrf',
  in: 'header',
  required: true,
  description: 'Shows that no form of another site sends this.',
  schema: { type: 'string', const: '1' },
}
const parameter = (name: string, place: 'path' | 'query', schema: object) => ({
  name,
  in: place,
  required: place === 'path',
  schema,
})
const returnTo = parameter('return_to', 'query', { type: 'string', pattern: '^/', maxLength: 2048 })
const userId = parameter('user_id', 'query', { type: 'string', format: 'uuid' })
/** `format`, and what else each report declares. */
const chosen = {
  ...parameter('chosen', 'query', {
    type: 'object',
    additionalProperties: { type: 'string', pattern: '^[a-z0-9]{1,16}$' },
  }),
  description: `What the report is asked by beside the day, each by its own name, and \`format\`: see ${behindDocument}.`,
  style: 'form',
  explode: true,
}
const date = parameter('date', 'path', { type: 'string', format: 'date' })

/** The description of what a browser may ask for (OpenAPI 3.1), made from the schemas and errors that the code runs on. */
export function openApiDocument(): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tendon bff',
      version: '1',
      description: 'Sign-in, sessions, and the reports behind them.',
    },
    security: [{ session: [] }],
    paths: {
      '/auth/login': {
        get: {
          operationId: 'beginSignIn',
          security: [],
          parameters: [returnTo],
          responses: {
            303: { description: 'To the identity provider' },
            ...pages(
              bffErrors.returnToRefused,
              bffErrors.crossSiteRefused,
              bffErrors.requestInvalid,
              bffErrors.tooManyRequests,
              bffErrors.providerUnavailable,
              platformErrors.keyValueUnavailable,
            ),
          },
        },
      },
      '/callback': {
        get: {
          operationId: 'endSignIn',
          security: [],
          parameters: ['state', 'code', 'iss', 'error', 'error_description'].map((name) =>
            parameter(name, 'query', { type: 'string' }),
          ),
          responses: {
            303: {
              description:
                'To where the sign-in was to lead; home, when it was used and somebody is signed in',
            },
            ...pages(
              bffErrors.crossSiteRefused,
              bffErrors.sessionEnded,
              bffErrors.signInExpired,
              bffErrors.signInElsewhere,
              bffErrors.requestInvalid,
              bffErrors.signInRefused,
              bffErrors.signInFailed,
              bffErrors.tooManyRequests,
              bffErrors.providerUnavailable,
              platformErrors.keyValueUnavailable,
            ),
          },
        },
      },
      '/auth/me': { get: operation('me', json('SessionUser'), fresh) },
      '/auth/logout': {
        post: {
          ...operation('signOut', json('SignedOut'), [...changing, ...limited]),
          parameters: [csrf],
        },
      },
      '/auth/sessions': {
        get: operation('listSessions', json('OwnSessions'), fresh),
        delete: {
          ...operation('endAllSessions', json('RevokedSessions'), [...session, ...changing]),
          parameters: [csrf],
        },
      },
      '/auth/sessions/{id}': {
        delete: {
          ...operation('endSession', { 204: { description: 'Ended' } }, [
            ...session,
            ...changing,
            bffErrors.sessionUnknown,
            platformErrors.notFound,
          ]),
          parameters: [csrf, parameter('id', 'path', { type: 'string', minLength: 1 })],
        },
      },
      '/auth/users/{username}/sessions': endsAsStaff('endSessionsOf', 'username'),
      '/auth/customers/{customer_id}/sessions': endsAsStaff('endSessionsOfCustomer', 'customer_id'),
      '/auth/backchannel-logout': {
        post: {
          ...operation('endSessionsByProvider', { 200: { description: 'Ended' } }, [
            bffErrors.logoutTokenRefused,
            platformErrors.bodyTooLarge,
            bffErrors.providerUnavailable,
            ...limited,
          ]),
          security: [],
          requestBody: {
            required: true,
            content: {
              'application/x-www-form-urlencoded': {
                schema: {
                  type: 'object',
                  required: ['logout_token'],
                  properties: { logout_token: { type: 'string' } },
                },
              },
            },
          },
        },
      },
      '/api/reports': { get: { ...throughGateway('listReports', 'ReportList'), parameters: [userId] } },
      '/api/reports/cdn/{date}': {
        get: { ...throughGateway('linkDailyReport', 'ReportLink'), parameters: [date, userId, chosen] },
      },
      '/api/reports/{report}/{date}': {
        get: {
          ...throughGateway('linkReport', 'ReportLink'),
          parameters: [
            parameter('report', 'path', { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,63}$' }),
            date,
            userId,
            chosen,
          ],
        },
      },
      '/api/reports/customers': {
        get: {
          ...throughGateway('findCustomers', 'CustomerList'),
          parameters: [
            {
              ...parameter('query', 'query', { type: 'string', minLength: 2, maxLength: 100 }),
              required: true,
            },
          ],
        },
      },
      [behindDocument]: { get: throughGateway('describeReports') },
      '/api/events': {
        get: {
          ...operation(
            'events',
            { 200: { description: 'Server-Sent Events', content: { 'text/event-stream': {} } } },
            [...fresh, bffErrors.requestInvalid, bffErrors.eventsRefused, bffErrors.tooManyStreams],
          ),
          parameters: [userId, { name: 'last-event-id', in: 'header', schema: { type: 'string' } }],
        },
      },
      '/openapi.json': {
        get: {
          operationId: 'describe',
          security: [],
          responses: { 200: { description: 'OpenAPI 3.1', content: { 'application/json': {} } } },
        },
      },
    },
    components: {
      securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: 'session_id' } },
      schemas: {
        SessionUser: jsonSchema(sessionUser),
        OwnSessions: jsonSchema(ownSessions),
        RevokedSessions: jsonSchema(revokedSessions),
        SignedOut: jsonSchema(z.object({ logout_url: z.url() })),
        ReportList: jsonSchema(reportList),
        ReportLink: jsonSchema(reportLink),
        CustomerList: jsonSchema(customerList),
        Problem: jsonSchema(problem),
      },
    },
  }
}

/** `GET /openapi.json`. */
export function openApiRoute(): HttpApp {
  const document = openApiDocument()
  return new Hono<HttpEnv>().get('/openapi.json', (c) => c.json(document))
}

function operation(operationId: string, answers: object, errors: ErrorFactory[]) {
  return { operationId, responses: { ...answers, ...problems('application/problem+json', errors) } }
}

/** @param schema of the answer; without one, OpenAPI */
function throughGateway(operationId: string, schema?: string) {
  const ok = schema
    ? json(schema)
    : { 200: { description: 'OpenAPI 3.1', content: { 'application/json': {} } } }
  const { responses } = operation(operationId, ok, gateway)
  for (const status of behindStatuses) {
    responses[status]!.description += `; of the service behind, see ${behindDocument}`
  }
  return { operationId, responses }
}

const json = (schema: string) => ({
  200: {
    description: schema,
    content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
  },
})

/** By the role of the staff, for somebody whom a part of the path names. */
const endsAsStaff = (operationId: string, whom: string) => ({
  delete: {
    ...operation(operationId, json('RevokedSessions'), [
      ...fresh,
      bffErrors.notAllowed,
      ...changing,
      bffErrors.userUnknown,
      platformErrors.notFound,
    ]),
    parameters: [csrf, parameter(whom, 'path', { type: 'string', minLength: 1 })],
  },
})

/** Errors that a person sees, as pages. */
const pages = (...errors: ErrorFactory[]) => problems('text/html', errors)

/** One response a status, which names the codes it may carry. */
function problems(type: string, errors: ErrorFactory[]) {
  const content = { [type]: type === 'text/html' ? {} : { schema: { $ref: '#/components/schemas/Problem' } } }
  const byStatus = Map.groupBy(errors, ({ definition }) => definition.status)
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      status,
      {
        description: group.map(({ code, definition }) => `${code}: ${definition.title}`).join('. '),
        content,
      },
    ]),
  )
}

function jsonSchema(schema: z.ZodType) {
  const { $schema, ...described } = z.toJSONSchema(schema, { io: 'output' })
  return described
}
