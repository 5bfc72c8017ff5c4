import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { createTerminalProgress } from './progress.ts'

test('a terminal that does not know its width is written to as a file is', async () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 0 })
  const progress = createTerminalProgress(
    terminal as unknown as NodeJS.WriteStream,
    new AbortController().signal,
  )
  expect(await progress.step('Schemas', async () => 'made')).toBe('made')
  terminal.end()
  expect(await text(terminal)).toMatch(/^- Schemas\n✔ Schemas \(\d+\.\d s\)\n$/)
})
