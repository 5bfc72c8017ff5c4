import { unknownTable, type Warehouse } from '@tendon/warehouse/client.ts'
import { defineQuery } from '@tendon/warehouse/query.ts'
import type { Admin } from 'kafkajs'
import type pg from 'pg'
import { z } from 'zod'
import type { Connector, ConnectorConfig } from '../kafka/connect-rest.ts'

/** Databases and a connector that read as ever, and write down what they were told to change. */
export type DryRun = {
  source: pg.Client
  warehouse: Warehouse
  admin: (admin: Admin) => Admin
  connector: (connector: Connector) => Connector
  steps: string[]
}

export function createDryRun(source: pg.Client, warehouse: Warehouse): DryRun {
  const steps: string[] = []
  const note = (where: string, what: string) => {
    steps.push(`${where}: ${what.trim().replace(/\s+/g, ' ')}`)
  }
  async function noteConnector(connector: Connector, config: ConnectorConfig): Promise<void> {
    const existing = (await connector.config()) ?? {}
    const changed = Object.entries(config).filter(([key, value]) => existing[key] !== value)
    note('Kafka Connect', `connector with ${changed.map(([key, value]) => `${key} = ${value}`).join('; ')}`)
  }
  return {
    steps,
    source: new Proxy(source, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        if (name !== 'query') return value.bind(target)
        return async (text: unknown, ...rest: unknown[]) => {
          if (typeof text !== 'string' || isRead(text)) return value.call(target, text, ...rest)
          note('CRM', text)
          return { rows: [], rowCount: 0 }
        }
      },
    }),
    warehouse: {
      ...warehouse,
      async query(query, params) {
        try {
          return await warehouse.query(query, params)
        } catch (error) {
          if (unknownTable(error) !== undefined) return []
          throw error
        }
      },
      async command(sql) {
        if (!(await isThere(warehouse, sql))) note('ClickHouse', sql)
      },
      async insertRows(table, rows) {
        note('ClickHouse', `INSERT INTO ${table}: ${JSON.stringify(rows)}`)
      },
    },
    admin: (admin) => ({
      ...admin,
      async createTopics({ topics }) {
        note('Kafka', `create the topics ${topics.map(({ topic }) => topic).join(', ')}`)
        return true
      },
    }),
    connector: (connector) => ({
      ...connector,
      create: (config) => noteConnector(connector, config),
      change: (config) => noteConnector(connector, config),
      async resume() {
        note('Kafka Connect', 'resume the connector')
      },
      async remove() {
        if (await connector.status()) note('Kafka Connect', 'remove the connector with its offsets')
      },
    }),
  }
}

/** Whether a statement makes what is there already. */
async function isThere(warehouse: Warehouse, sql: string): Promise<boolean> {
  const made = /^\s*CREATE (DATABASE|TABLE|MATERIALIZED VIEW|NAMED COLLECTION) IF NOT EXISTS ([\w.]+)\s/.exec(
    sql,
  )
  if (!made) return false
  const [, kind, name] = made
  const question = {
    DATABASE: `EXISTS DATABASE ${name}`,
    'NAMED COLLECTION': `SELECT count() AS result FROM system.named_collections WHERE name = '${name}'`,
  }[kind!]
  const answer = await warehouse.query(
    defineQuery({
      name: 'is-there',
      sql: question ?? `EXISTS TABLE ${name}`,
      params: z.object({}),
      row: z.object({ result: z.coerce.number() }),
    }),
    {},
  )
  return answer[0]!.result > 0
}

/** What changes nothing; dropping a slot is a SELECT. */
function isRead(sql: string): boolean {
  return /^\s*(SELECT|WITH|SHOW)\b/i.test(sql) && !sql.includes('pg_drop_replication_slot')
}
