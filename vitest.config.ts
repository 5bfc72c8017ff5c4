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
    // What is awaited may take its time on a machine that others use.
    expect: { poll: { timeout: 20_000 } },
    maxWorkers: 2,
    sequence: { sequencer: SuitesFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.stack.test.ts', '**/*.torture.test.ts'],
        },
      },
      {
        extends: true,
        test: { name: 'stack', include: ['**/*.stack.test.ts'], exclude: ['**/node_modules/**'] },
      },
      // Each has servers of its own and kills them, so that one goes after the other, in two lanes of about the same length
      // that may go beside each other: kafka-faults and kafka-gaps, and everything else.
      {
        extends: true,
        test: {
          name: 'torture-recovery',
          include: ['cdc/kafka/kafka-{faults,gaps}.torture.test.ts'],
          exclude: ['**/node_modules/**'],
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'torture-others',
          include: ['**/*.torture.test.ts'],
          exclude: ['**/node_modules/**', 'cdc/kafka/kafka-{faults,gaps}.torture.test.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
})
