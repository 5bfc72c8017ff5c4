import { expect } from 'vitest'
import type { CdcFeed } from '../feed-supervisor.ts'
import { type Hammer, startHammer } from '../suites/hammer.fixture.ts'
import type { World } from '../suites/replica-of-source.fixture.ts'

/** Waits until so many more transactions have committed. */
export async function moreCommits(hammer: Hammer, more: number): Promise<void> {
  const wanted = hammer.commits() + more
  await expect.poll(() => hammer.commits(), { timeout: 60_000 }).toBeGreaterThanOrEqual(wanted)
}

/**
 * Strikes in the middle of a load that goes on until everything has caught up again, prints how long that took, and
 * compares every row of every table.
 * @param strike what goes wrong, until all that was stopped is started again; gives the feed that has to catch up
 */
export async function strikeUnderLoad(
  what: string,
  world: World,
  strike: (hammer: Hammer) => Promise<CdcFeed>,
): Promise<void> {
  const hammer = startHammer(world.url, { pauseMs: 100 })
  try {
    await moreCommits(hammer, 150)
    const before = hammer.commits()
    const struckAt = performance.now()
    const feed = await strike(hammer)
    const startedAt = performance.now()
    await feed.caughtUp()
    const recoveredAt = performance.now()
    await hammer.stop()
    process.stdout.write(
      `${what}: started again after ${seconds(startedAt - struckAt)}, caught up after ` +
        `${seconds(recoveredAt - struckAt)}, ${hammer.commits() - before} transactions meanwhile\n`,
    )
    expect(await world.differences(feed)).toEqual([])
  } finally {
    await hammer.stop()
  }
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
