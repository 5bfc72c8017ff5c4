import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('whoever starts Tendon reads nothing about its runtime', async () => {
  const provider = new URL('identity-provider.ts', import.meta.url).href
  const args = ['--input-type=module', '--eval', `await import(${JSON.stringify(provider)})`]
  expect(await promisify(execFile)(process.execPath, args)).toEqual({ stdout: '', stderr: '' })
})
