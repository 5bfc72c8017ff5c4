import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseStat, processTree, pssBytes, treeCpuSeconds } from './processes.ts'

test("a name with brackets and spaces in it does not shift a process's fields", () => {
  const stat = '42 (a) S (b c) S 7 42 42 0 -1 4194560 100 0 0 0 150 50 200 100 20 0 1 0 12345 1 1'
  expect(parseStat(stat)).toEqual({ parentPid: 7, cpuSeconds: 5 })
})

test.runIf(existsSync('/proc/self/smaps_rollup'))('a child belongs to the tree until it ends', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log()'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const tree = await processTree(process.pid)
    expect(tree[0]?.pid).toBe(process.pid)
    expect(tree.find(({ pid }) => pid === child.pid)?.parentPid).toBe(process.pid)
    expect(await pssBytes(child.pid!)).toBeGreaterThan(1_000_000)
    expect(await treeCpuSeconds(process.pid)).toBeGreaterThan(await treeCpuSeconds(child.pid!))
  } finally {
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.stdin.end()
    await exited
  }
  expect(await processTree(child.pid!)).toEqual([])
})
