import { existsSync } from 'node:fs'
import { createLog } from '@tendon/platform/log.ts'
import { expect, test } from 'vitest'
import type { BenchCase, BenchContext } from './bench-case.ts'
import { runCase } from './run-case.ts'

const hasProc = existsSync('/proc/self/smaps_rollup')
const parts = { log: createLog({ service: 'bench', level: 'fatal' }), say: () => {} }

function caseThat(run: BenchCase['run'], timeoutMs = 60_000): BenchCase {
  return { name: 'test', title: 'a test', timeoutMs, run }
}

/** Makes a folder, calls back, and ends only when the folder is gone: as a case does whose servers are stopped. */
function untilFolderIsGone(began: (folder: string, context: BenchContext) => void): BenchCase['run'] {
  return async (context) => {
    const folder = context.scope.temporaryFolder()
    const gone = new Promise<void>((resolve) => context.scope.defer(resolve))
    began(folder, context)
    await gone
    throw new Error('What the case worked on is gone.')
  }
}

test.runIf(hasProc)('an interrupted case leaves nothing, what it started last included', async () => {
  const interrupted = new AbortController()
  let folder = ''
  let lastIsClosed = false
  const bench = caseThat(
    untilFolderIsGone((made, { scope }) => {
      folder = made
      scope.defer(() => scope.defer(() => (lastIsClosed = true)))
      interrupted.abort(new Error('Interrupted.'))
    }),
  )
  await expect(runCase(bench, parts, interrupted.signal)).rejects.toThrow('Interrupted.')
  expect(folder).not.toBe('')
  expect(existsSync(folder)).toBe(false)
  expect(lastIsClosed).toBe(true)
})

test.runIf(hasProc)('a case that takes too long is ended', async () => {
  const bench = caseThat(
    untilFolderIsGone(() => {}),
    20,
  )
  await expect(runCase(bench, parts, new AbortController().signal)).rejects.toThrow(/timeout/)
})

test.runIf(hasProc)('a case that fails leaves nothing, also when something fails to close', async () => {
  let isClosed = false
  const bench = caseThat(async ({ scope }) => {
    scope.defer(() => (isClosed = true))
    scope.defer(() => {
      throw new Error('does not close')
    })
    throw new Error('does not run')
  })
  await expect(runCase(bench, parts, new AbortController().signal)).rejects.toThrow('does not run')
  expect(isClosed).toBe(true)
})
