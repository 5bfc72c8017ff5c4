import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const program = `
  import { once } from 'node:events'
  import { runCommands } from '${new URL('run-commands.ts', import.meta.url)}'
  const run = async () => {
    await once(process.stdin, 'end')
    process.stdout.write('x'.repeat(1_000_000))
    return 3
  }
  process.stdin.resume()
  await runCommands({
    program: 'test', notes: '', argv: ['print'], commands: [{ name: 'print', operands: '', summary: '', run }],
  })`

test('a command whose reader has gone ends as it would have', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program])
  const errors = text(child.stderr)
  child.stdout.destroy()
  child.stdin.end()
  const [code] = await once(child, 'exit')
  expect({ code, errors: await errors }).toEqual({ code: 3, errors: '' })
})

const failing = `
  import { runCommands, refuseOtherThan } from '${new URL('run-commands.ts', import.meta.url)}'
  import { platformErrors as errors } from '${new URL('platform-errors.ts', import.meta.url)}'
  import { readProcessConfig } from '${new URL('process-config.ts', import.meta.url)}'
  const command = (name, run) => ({ name, operands: '', summary: '', run })
  await runCommands({
    program: 'test', notes: '', argv: process.argv.slice(2),
    commands: [
      command('fail', async () => { throw errors.unexpected('It failed.', { cause: errors.portTaken('Port 1 is taken.') }) }),
      command('break', async () => { throw new Error('broken') }),
      command('read', async () => readProcessConfig('test read', 'test', {}, ['--nope'])),
      command('refuse', async () => refuseOtherThan('<user> [day]', 'test refuse', [])),
    ],
  })`

async function fail(
  env: Record<string, string>,
  ...argv: string[]
): Promise<{ code: number; stderr: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', failing, '--', 'test', ...argv], {
    env,
  })
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  return { code, stderr }
}

test('with --json an error is an object, with its code, what to do and its cause', async () => {
  const [coded, other, config, operands, unknown, byVariable, forPeople] = await Promise.all([
    fail({}, 'fail', '--json'),
    fail({}, 'break', '--json'),
    fail({}, 'read', '--json'),
    fail({}, 'refuse', '--json'),
    fail({}, 'walk', '--json'),
    fail({ TEST_JSON: 'true' }, 'break'),
    fail({ TEST_JSON: 'true' }, 'break', '--json=false'),
  ])
  expect(coded.code).toBe(1)
  expect(JSON.parse(coded.stderr)).toEqual({
    error: {
      code: expect.stringMatching(/^TENDON-PLATFORM-/),
      message: 'It failed.',
      help: expect.any(String),
      reason: null,
      cause: {
        code: 'TENDON-PLATFORM-004',
        message: 'Port 1 is taken.',
        help: expect.any(String),
        reason: null,
      },
    },
  })
  const broken = { code: 1, stderr: '{"error":{"code":null,"message":"broken","help":null}}\n' }
  expect([other, byVariable]).toEqual([broken, broken])
  expect(forPeople).toEqual({ code: 1, stderr: 'broken\n' })
  const messages = [config, operands, unknown].map(({ code, stderr }) => [
    code,
    JSON.parse(stderr).error.message,
  ])
  expect(messages).toEqual([
    [64, expect.stringContaining('unknown option --nope')],
    [64, expect.stringContaining('it takes <user> [day], and got none')],
    [64, expect.stringContaining('unknown command "walk"')],
  ])
})
