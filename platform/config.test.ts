import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  booleanOption,
  ConfigError,
  databaseUrlOption,
  defineOptions,
  helpText,
  millisecondsOption,
  portOption,
  readConfig,
  takeOperands,
  textOption,
  urlOption,
} from './config.ts'

const table = defineOptions({
  port: { env: 'PORT', flag: 'port', type: portOption, default: 8080, help: 'Port to listen on.' },
  simulator: {
    env: 'SIMULATOR',
    flag: 'simulator',
    type: booleanOption,
    default: true,
    help: 'Write demo changes.',
  },
  clickhouseUrl: { env: 'CLICKHOUSE_URL', type: urlOption, optional: true, help: 'Address of ClickHouse.' },
  issuer: { env: 'OIDC_ISSUER', type: textOption, help: 'Issuer of the tokens.' },
})

test('a flag wins over the environment, which wins over the default', () => {
  const env = { OIDC_ISSUER: 'https://id.example', PORT: '81' }
  expect(readConfig('demo', table, { env, argv: ['--port', '82', '--no-simulator'] })).toEqual({
    port: 82,
    simulator: false,
    clickhouseUrl: undefined,
    issuer: 'https://id.example',
  })
  expect(readConfig('demo', table, { env }).port).toBe(81)
})

test('everything that is wrong is said at once', () => {
  const env = { PORT: '99999', CLICKHOUSE_URL: 'nowhere', SIMULATOR: 'perhaps' }
  const read = () => readConfig('demo', table, { env, argv: ['--colour', 'green'] })
  expect(read).toThrow(ConfigError)
  try {
    read()
  } catch (error) {
    const problems = (error as ConfigError).problems.join('\n')
    for (const name of ['PORT', 'CLICKHOUSE_URL', 'SIMULATOR', 'OIDC_ISSUER', '--colour', 'green']) {
      expect(problems).toContain(name)
    }
  }
})

test('what is wrong is said in plain words, and never with the value, which may be a secret', () => {
  const types = {
    number: [portOption, 'secret'],
    whole: [portOption, '1.5'],
    least: [portOption, '-1'],
    above: [millisecondsOption, '0'],
    most: [portOption, '99999'],
    boolean: [booleanOption, 'secret'],
    choice: [z.enum(['info', 'warn']), 'secret'],
    address: [urlOption, 'secret'],
    scheme: [urlOption, 'secret:8080'],
    protocol: [urlOption, 'ftp://secret'],
    database: [databaseUrlOption, 'secret'],
    dialect: [databaseUrlOption, 'mysql://secret/db'],
    day: [z.iso.date(), 'secret'],
    own: [z.string().regex(/^[a-z]+$/, 'not of small letters'), 'SECRET'],
    length: [z.string().min(9), 'secret'],
  } as const
  const problems = Object.entries(types).map(([name, [type, text]]) => {
    try {
      return readConfig('demo', { it: { env: name, type, help: 'Help.' } }, { env: { [name]: text } })
    } catch (error) {
      return (error as ConfigError).problems.join('\n')
    }
  })
  expect(problems.join('\n')).toMatchInlineSnapshot(`
    "number: not a number. Help.
    whole: not a whole number. Help.
    least: less than 0. Help.
    above: not more than 0. Help.
    most: more than 65535. Help.
    boolean: none of true, 1, yes, on, y, enabled, false, 0, no, off, n, disabled. Help.
    choice: none of info, warn. Help.
    address: not an address with its scheme, as http://localhost:8080. Help.
    scheme: not an address with its scheme, as http://localhost:8080. Help.
    protocol: not an address with its scheme, as http://localhost:8080. Help.
    database: not an address with its scheme, as postgresql://user:password@localhost:5432/database. Help.
    dialect: not an address with its scheme, as postgresql://user:password@localhost:5432/database. Help.
    day: not a day, as 2026-01-31. Help.
    own: not of small letters. Help.
    length: too short. Help."
  `)
})

test('an empty variable counts as unset, as compose files write it', () => {
  expect(readConfig('demo', table, { env: { OIDC_ISSUER: 'x', PORT: '' } }).port).toBe(8080)
})

test('the help text names each option with its variable and default, flags first', () => {
  const { clickhouseUrl, ...others } = table
  expect(helpText('demo [options]', { clickhouseUrl, ...others })).toMatchInlineSnapshot(`
    "Usage: demo [options]

      --port, PORT            Port to listen on. (default 8080)
      --simulator, SIMULATOR  Write demo changes. (default true)
      CLICKHOUSE_URL          Address of ClickHouse.
      OIDC_ISSUER             Issuer of the tokens. (required)
    "
  `)
})

test('operands stand anywhere between flags, and a flag keeps its value', () => {
  expect(takeOperands(table, ['public.customers', '--port', '82', 'other', '--no-simulator'])).toEqual({
    operands: ['public.customers', 'other'],
    flags: ['--port', '82', '--no-simulator'],
  })
  expect(takeOperands(table, ['--', '--odd'])).toMatchObject({ operands: ['--odd'] })
})
