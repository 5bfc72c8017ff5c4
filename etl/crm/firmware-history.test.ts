import { afterAll, expect, test } from 'vitest'
import { startEtlWorld } from '../fixtures/etl-world.fixture.ts'

const world = await startEtlWorld()
afterAll(() => world.stop())

const at = (time: string) => new Date(time)

test('a day has the firmware that was seen on it, and so have those after it that a clock told of that is ahead', async () => {
  const story = await world.freshStory()
  const run = () => story.createEtl().runOnce()
  const firmware = async () => [...(await story.stats()).values()].map((row) => row.firmware_version)
  const { id } = await story.issue({
    chip_id: 'c1',
    customer_id: '00000000-0000-4000-8000-00000000000a',
    issued_at: '2020-01-01',
  })
  await story.stopClock(at('2026-03-10T12:00Z'))
  await story.send(
    ['2026-03-11T00:01Z', '2026-03-10T11:00Z', '2026-03-09T11:00Z'].map((time) => ({
      chip_id: 'c1',
      recorded_at: at(time),
      ingested_at: at('2026-03-10T23:58Z'),
    })),
  )
  await run()
  expect(await firmware()).toEqual(['', '1.0.0', '1.0.0'])
  await story.change(id, { firmware_version: '1.0.1' })
  await run()
  expect(await firmware()).toEqual(['', '1.0.1', '1.0.1'])
  await story.end()
})
