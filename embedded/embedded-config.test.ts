import { expect, test } from 'vitest'
import { readEmbeddedConfig } from './embedded-config.ts'

const read = (env: Record<string, string>) => readEmbeddedConfig({ env, argv: [] })

test('everything wrong is said at once, in the variables of the services too', () => {
  const s3 = { S3_ENDPOINT: 'http://127.0.0.1:9', S3_FORCE_PATH_STYLE: 'perhaps' }
  const env = { PORT: 'many', ...s3, ETL_SCHEDULE: 'nonsense', SESSION_MS: '-1' }
  expect(() => read(env)).toThrow(
    expect.objectContaining({
      problems: [
        expect.stringContaining('PORT'),
        expect.stringContaining('S3_FORCE_PATH_STYLE'),
        expect.stringContaining('S3_ACCESS_KEY_ID'),
        expect.stringContaining('S3_SECRET_ACCESS_KEY'),
        expect.stringContaining('SESSION_MS'),
        expect.stringContaining('ETL_SCHEDULE'),
      ],
    }),
  )
})

test('what the services are told by this process is not asked of anybody', () => {
  expect(read({}).port).toBe(8080)
})

test('the public address is an origin', () => {
  expect(read({ PUBLIC_URL: 'https://reports.example.org/' }).publicUrl).toBe('https://reports.example.org')
  for (const url of ['https://example.org/reports', 'https://example.org/?a', 'ftp://example.org', 'here']) {
    expect(() => read({ PUBLIC_URL: url }), url).toThrow('PUBLIC_URL')
  }
})
