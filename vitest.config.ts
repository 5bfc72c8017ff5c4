import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** A long file goes first, so that none is left at the end with the other workers idle. Those of suites are short and take longest. */
class SuitesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isSuite = ({ moduleId }: TestSpecification) => moduleId.includes('/cdc/suites/')
    return [...sorted.filter(isSuite), ...sorted.filter((file) => !isSuite(file))]
  }
}

// Projects are told apart by the file's name: `*.test.ts` needs nothing but npm's packages, `*.stack.test.ts`
// needs real servers from outside (Redis, Chromium, …), which `.ci/run` installs and starts, and
// `*.torture.test.ts` takes minutes because it kills and starts things again and again.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What is awaited may take its time on a machine that others use, and each look takes some of it.
    expect: { poll: { timeout: 20_000, interval: 100 } },
    // One more than CI has cores: each waits for its servers now and then.
    maxWorkers: 3,
    // And the programs that tests start, some a hundred times, need not compile themselves each time.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compiled') },
    sequence: { sequencer: SuitesFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // The files of a worker share its process: importing everything anew for each took a fifth of the time. (Those on the native
          // stack do not: some start servers of their own and put their addresses into the environment.)
          isolate: false,
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.stack.test.ts', '**/*.torture.test.ts'],
        },
      },
      {
        extends: true,
        test: { name: 'stack', include: ['**/*.stack.test.ts'], exclude: ['**/node_modules/**'] },
      },
      {
        extends: true,
        test: { name: 'torture', include: ['**/*.torture.test.ts'], exclude: ['**/node_modules/**'] },
      },
    ],
  },
})
