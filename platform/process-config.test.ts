import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'

const folder = new URL('./', import.meta.url)

/** How a program ends whose body is `body`; it sees what platform/ offers to programs. */
function runAsProgram(
  body: string,
  options: { argv?: string[]; env?: Record<string, string> } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const source = `
    import { listen } from '${folder}http-server.ts'
    import { createLog } from '${folder}log.ts'
    import { portOption } from '${folder}config.ts'
    import { readProcessConfig, runProgram } from '${folder}process-config.ts'
    const table = { port: { env: 'PORT', flag: 'port', type: portOption, help: 'Port it listens on.' } }
    await runProgram(async () => { ${body} })`
  const args = ['--input-type=module', '--eval', source, '--', 'demo.ts', ...(options.argv ?? [])]
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: options.env ?? {} }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

test('a program ends with the exit code it gives, and with none of an error as a stack', async () => {
  const [done, chosen, failed, caused, foreign, told, taken] = await Promise.all([
    runAsProgram(''),
    runAsProgram('return 3'),
    runAsProgram("throw new Error('the disk is full')"),
    runAsProgram(`
      const { platformErrors: errors } = await import('${folder}platform-errors.ts')
      throw errors.unexpected('It failed.', { cause: errors.portTaken('Port 1 is taken.') })`),
    runAsProgram(`
      const { platformErrors: errors } = await import('${folder}platform-errors.ts')
      const cause = errors.unexpected('It failed inside.', { cause: new Error('no column x\\nat line 1') })
      throw errors.unexpected('It failed.', { cause })`),
    runAsProgram(`
      const { platformErrors: errors } = await import('${folder}platform-errors.ts')
      const cause = errors.portTaken('Port 1 is taken.', { cause: new Error('no column x') })
      throw errors.unexpected('It failed: no column x', { cause })`),
    runAsProgram(`
      const log = createLog({ service: 'demo', level: 'fatal' })
      const { port } = await listen({ fetch: () => new Response() }, { port: 0, log })
      await listen({ fetch: () => new Response() }, { port, log })`),
  ])
  expect(done).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(chosen.code).toBe(3)
  expect(failed).toEqual({ code: 1, stdout: '', stderr: 'the disk is full\n' })
  expect(caused.stderr).toMatch(
    /^It failed\.\n.* \(TENDON-PLATFORM-\d+\)\nStop what listens there, .* \(TENDON-PLATFORM-004\)\n$/,
  )
  expect(foreign.stderr).toMatch(/^It failed\.\nReason: no column x\n.* \(TENDON-PLATFORM-\d+\)\n/)
  expect(told.stderr).toMatch(/^It failed: no column x\n.* \(TENDON-PLATFORM-\d+\)\n$/)
  expect(taken.code).toBe(1)
  expect(taken.stderr).toMatch(
    /^Port \d+ on 127\.0\.0\.1 is taken\.\nReason: listen EADDRINUSE.*\nStop what listens there, .* \(TENDON-PLATFORM-004\)\n$/,
  )
})

test('wrong configuration ends with 64 and everything that is wrong, help with 0', async () => {
  const body = "readProcessConfig('demo', 'node demo.ts [options]', table); return 3"
  const [help, unset, right, afterCommand] = await Promise.all([
    runAsProgram(body, { argv: ['--help'] }),
    runAsProgram(body, { argv: ['--prot', '1'] }),
    runAsProgram(body, { env: { PORT: '1' } }),
    runAsProgram("readProcessConfig('demo', 'demo', table, process.argv.slice(3))", {
      argv: ['serve', '--port', '1'],
    }),
  ])
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: node demo.ts [options]') })
  expect(unset.code).toBe(64)
  expect(unset.stderr).toContain('unknown option --prot')
  expect(unset.stderr).toContain('PORT is not set')
  expect(right.code).toBe(3)
  expect(afterCommand.code).toBe(0)
})
