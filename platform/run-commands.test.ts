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
