import { defineOptions, textOption, urlOption } from '@tendon/platform/config.ts'
import { z } from 'zod'

/** Where ClickHouse is, for every service and command that uses it. */
export const warehouseOptions = defineOptions({
  clickhouseUrl: {
    env: 'CLICKHOUSE_URL',
    type: urlOption,
    help: 'Address of the HTTP interface of ClickHouse, as in http://localhost:8123',
  },
  clickhouseUser: {
    env: 'CLICKHOUSE_USER',
    type: textOption,
    default: 'default',
    help: 'User of ClickHouse',
  },
  clickhousePassword: {
    env: 'CLICKHOUSE_PASSWORD',
    type: z.string(),
    default: '',
    help: 'Password of that user',
  },
})

export const migrateOptions = defineOptions({
  ...warehouseOptions,
  clickhouseCluster: {
    env: 'CLICKHOUSE_CLUSTER',
    flag: 'cluster',
    type: textOption,
    optional: true,
    help: 'Cluster to run the DDL on; tables become replicated',
  },
})
