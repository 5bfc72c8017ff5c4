import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type DemoSeed, fullVolume, generateDemoCrm } from './demo-crm.ts'
import { faultyFirmware } from './demo-models.ts'
import { demoPeople } from './demo-people.ts'
import { generateDemoTelemetry, type TelemetryProgress } from './demo-telemetry.ts'

const full: DemoSeed = { seed: 20, today: new Date('2026-03-01T17:45:00Z'), volume: fullVolume }
const small: DemoSeed = { ...full, volume: { customers: 20, prostheses: 26, days: 4 } }

function digest(seed: DemoSeed): string {
  const hash = createHash('sha256')
  const crm = generateDemoCrm(seed)
  hash.update(JSON.stringify(crm))
  for (const chunk of generateDemoTelemetry(crm, seed)) hash.update(chunk)
  return hash.digest('hex')
}

describe('the demo data', () => {
  test('is the same byte for byte for the same seed and instant, wherever it is made', () => {
    expect(digest(small)).toBe('dd1096db71e3d621d38fd045c6505ebb19d0affa69103f3ac8a37049f178340a')
    expect(digest({ ...small, seed: 21 })).not.toBe(digest(small))
    expect(digest({ ...small, today: new Date('2026-03-01T17:46:00Z') })).not.toBe(digest(small))
  })

  test('has 200 customers, 260 prostheses and more than a million messages over 90 days', () => {
    const crm = generateDemoCrm(full)
    expect(crm.customers).toHaveLength(200)
    expect(new Set(crm.customers.map(({ email }) => email)).size).toBe(200)
    expect(crm.prostheses).toHaveLength(260)
    let progress: TelemetryProgress | undefined
    let bytes = 0
    for (const chunk of generateDemoTelemetry(crm, full, (now) => {
      progress = now
    })) {
      bytes += chunk.length
    }
    expect(progress).toMatchObject({ day: 90, days: 90 })
    expect(progress?.rows).toBeGreaterThan(1_000_000)
    expect(bytes / progress!.rows).toBeLessThan(120)
  })

  test('gives alice two prostheses and bob one, kept by them throughout', () => {
    const { prostheses } = generateDemoCrm(full)
    const of = ({ customerId }: { customerId: string }) =>
      prostheses.filter(({ row }) => row.customer_id === customerId)
    expect(of(demoPeople.alice)).toHaveLength(2)
    expect(of(demoPeople.bob)).toHaveLength(1)
    expect(new Set(of(demoPeople.alice).map(({ row }) => row.side))).toEqual(new Set(['left', 'right']))
    expect(of(demoPeople.alice)[0]!.row.model_id).toBe(faultyFirmware.modelId)
    for (const { row } of [...of(demoPeople.alice), ...of(demoPeople.bob)]) {
      expect(row.returned_at).toBeNull()
      expect(row.issued_at < '2025-12-01').toBe(true)
    }
  })

  test('passes devices on with their chip, to one owner at a time', () => {
    const { prostheses } = generateDemoCrm(full)
    const byChip = Map.groupBy(prostheses, ({ row }) => row.chip_id)
    const passedOn = [...byChip.values()].filter((owners) => owners.length > 1)
    expect(passedOn.length).toBeGreaterThan(15)
    for (const [first, second] of passedOn) {
      expect(first!.row.returned_at! <= second!.row.issued_at).toBe(true)
      expect(first!.row.serial_number).toBe(second!.row.serial_number)
      expect(first!.row.customer_id).not.toBe(second!.row.customer_id)
    }
    const onlyReturned = prostheses.filter(
      ({ row }) => row.returned_at && byChip.get(row.chip_id)!.length === 1,
    )
    expect(onlyReturned.length).toBeGreaterThan(5)
  })
})
