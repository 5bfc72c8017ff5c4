import { problem } from '@tendon/contracts/problem.ts'
import { reportEnvelope, reportFormat } from '@tendon/contracts/report-envelope.ts'
import {
  customerList,
  customerSearch,
  invalidateRequest,
  invalidateResponse,
  reportLink,
  reportList,
} from '@tendon/contracts/reports-api.ts'
import type { TendonError } from '@tendon/platform/errors.ts'
import { platformErrors } from '@tendon/platform/platform-errors.ts'
import { z } from 'zod'
import type { Report } from '../declarations/report.ts'
import { reportsErrors } from '../errors.ts'

type ErrorFactory = { code: string; definition: TendonError['definition'] }

const tokenErrors = [
  platformErrors.accessTokenMissing,
  platformErrors.accessTokenInvalid,
  platformErrors.accessTokenExpired,
  platformErrors.identityProviderUnavailable,
]
const ownerErrors = [reportsErrors.otherUsersReport, reportsErrors.customerMissing]
const readErrors = [reportsErrors.warehouseUnavailable, reportsErrors.reportBusy]

const userIdParameter = {
  name: 'user_id',
  in: 'query',
  description: 'Whose reports; only with the role `report-admin` another than the customer in the token.',
  schema: { type: 'string', format: 'uuid' },
}

const retryAfter = {
  'retry-after': { description: 'Seconds after which to try again', schema: { type: 'integer' } },
}

/**
 * The service's description (OpenAPI 3.1, whose schemas are JSON Schema 2020-12), made from the very schemas
 * and error tables that the code runs on. Next to the endpoints it describes the object behind each report's link.
 */
export function openApiDocument(reports: readonly Report[]): Record<string, unknown> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tendon reports-service',
      version: '1',
      description: 'Reports as immutable objects: a link to each, computed when there is none yet.',
    },
    security: [{ accessToken: [] }],
    paths: {
      '/reports': { get: listOperation },
      '/reports/{report}/{date}': { get: linkOperation(reports) },
      '/customers': { get: customersOperation },
      '/invalidate': { post: invalidateOperation },
      '/openapi.json': { get: describeOperation },
    },
    components: {
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: {
        ReportList: jsonSchema(reportList),
        ReportLink: jsonSchema(reportLink),
        CustomerList: jsonSchema(customerList),
        InvalidateRequest: jsonSchema(invalidateRequest),
        InvalidateResponse: jsonSchema(invalidateResponse),
        Problem: jsonSchema(problem),
        ...Object.fromEntries(reports.map((report) => [`report.${report.name}`, reportSchema(report)])),
      },
    },
  }
}

const listOperation = {
  operationId: 'listReports',
  summary: 'The reports this user may read, and the days for which there is data',
  parameters: [userIdParameter],
  responses: {
    ...okResponse('The reports', 'ReportList'),
    ...problemResponses(...tokenErrors, ...ownerErrors, reportsErrors.requestInvalid, ...readErrors),
  },
}

function linkOperation(reports: readonly Report[]) {
  return {
    operationId: 'linkReport',
    summary: "A signed address of the report of one day, computed first when it isn't there",
    parameters: [
      {
        name: 'report',
        in: 'path',
        required: true,
        schema: { type: 'string', enum: reports.map((report) => report.name) },
      },
      {
        name: 'date',
        in: 'path',
        required: true,
        description: 'A day where the customer lives, today or before.',
        schema: { type: 'string', format: 'date' },
      },
      userIdParameter,
      {
        name: 'format',
        in: 'query',
        description:
          'The table formats hold the rows. What they are of and how old stands in CSV in columns of each line that begin with _ (without rows, in one line that has only these), in Parquet in the metadata.',
        schema: { type: 'string', enum: reportFormat.options, default: 'json' },
      },
      ...reports.flatMap(chosenParameters),
    ],
    responses: {
      ...okResponse('Where the report lies, and how current it is now', 'ReportLink'),
      ...problemResponses(
        ...tokenErrors,
        ...ownerErrors,
        reportsErrors.roleMissing,
        reportsErrors.requestInvalid,
        reportsErrors.dateMalformed,
        reportsErrors.dateInFuture,
        reportsErrors.reportUnknown,
        reportsErrors.customerUnknown,
        reportsErrors.reportSuperseded,
        ...readErrors,
        platformErrors.objectStoreUnavailable,
        platformErrors.keyValueUnavailable,
      ),
    },
  }
}

const customersOperation = {
  operationId: 'findCustomers',
  summary:
    'Customers by a part of their name or e-mail address, or by an id, chip or serial number; for `report-admin`',
  parameters: [{ name: 'query', in: 'query', required: true, schema: jsonSchema(customerSearch) }],
  responses: {
    ...okResponse('Who was found, by name', 'CustomerList'),
    ...problemResponses(
      ...tokenErrors,
      reportsErrors.roleMissing,
      reportsErrors.requestInvalid,
      ...readErrors,
    ),
  },
}

const invalidateOperation = {
  operationId: 'invalidateReports',
  summary: 'Makes every report of these users be computed anew; needs the role `report-invalidator`',
  requestBody: {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/InvalidateRequest' } } },
  },
  responses: {
    ...okResponse('How many users it was; repeating the call is harmless', 'InvalidateResponse'),
    ...problemResponses(
      ...tokenErrors,
      reportsErrors.roleMissing,
      reportsErrors.requestInvalid,
      reportsErrors.bodyTooLarge,
      platformErrors.keyValueUnavailable,
    ),
  },
}

const describeOperation = {
  operationId: 'describe',
  summary: 'This document',
  security: [],
  responses: { 200: { description: 'OpenAPI 3.1', content: { 'application/json': {} } } },
}

function okResponse(description: string, schema: string) {
  const content = { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } }
  return { 200: { description, content } }
}

/** One response a status, which names the codes it may carry. */
function problemResponses(...errors: ErrorFactory[]) {
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
  const byStatus = Map.groupBy(errors, (error) => error.definition.status)
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => {
      const description = group.map((error) => `${error.code}: ${error.definition.title}`).join('. ')
      const retryable = group.some((error) => error.definition.retryAfterSeconds !== undefined)
      return [status, { description, content, ...(retryable && { headers: retryAfter }) }]
    }),
  )
}

/** What a report is asked by beside day and customer. */
function chosenParameters(report: Report) {
  const { properties = {} } = z.toJSONSchema(report.parameters, { io: 'input' })
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    description: `Of ${report.name}.`,
    schema,
  }))
}

/** The object behind a report's link. */
function reportSchema(report: Report) {
  return jsonSchema(
    reportEnvelope.extend({
      report: z.literal(report.name),
      title: z.literal(report.title),
      parameters: report.parameters,
      data: report.data,
      rows: z.array(report.row),
    }),
  )
}

function jsonSchema(schema: z.ZodType) {
  const { $schema, ...described } = z.toJSONSchema(schema, { io: 'output' })
  return described
}
