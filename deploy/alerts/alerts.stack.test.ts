import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { debianProgram } from '../native/install.ts'

const cwd = fileURLToPath(new URL('.', import.meta.url))
const files = readdirSync(cwd).filter((name) => name.endsWith('.yml'))

test.each(files.filter((name) => name.endsWith('.rules.yml')))('%s can be loaded', (file) => {
  expect(promtool('check', 'rules', file)).toContain('SUCCESS')
})

test.each(files.filter((name) => name.endsWith('.rules.test.yml')))('%s holds', (file) => {
  expect(promtool('test', 'rules', file)).toContain('SUCCESS')
})

function promtool(...args: string[]): string {
  return execFileSync(debianProgram('promtool', 'prometheus'), args, { cwd, encoding: 'utf8' })
}
