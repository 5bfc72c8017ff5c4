import type { ClientBase } from 'pg'
import { faultyFirmware } from './demo-models.ts'
import { belongsToDemoPerson, type DeviceInUse } from './devices-in-use.ts'
import { drawErrorCode, drawResponseTimeMs, kindTraits } from './limb-use.ts'
import type { Random } from './random.ts'
import { dayOf, dayText } from './utc-days.ts'

const insertTelemetrySql = `
  INSERT INTO telemetry_events
    (chip_id, signal, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms)
  SELECT chip_id, signal, recorded_at, response_time_ms, battery_percent, error_code, movement_count, active_ms
  FROM jsonb_to_recordset($1::jsonb) AS event (
    chip_id text, signal text, recorded_at timestamptz, response_time_ms real, battery_percent smallint,
    error_code text, movement_count integer, active_ms integer
  )`

const devicesPerTick = 6
const minuteMs = 60_000

/** Writes what some of the devices in use send at this moment; keeps partitions ahead of the clock. */
export function createTelemetryTick(options: {
  random: Random
  now: () => Date
  devices: () => readonly DeviceInUse[]
}): (client: ClientBase) => Promise<void> {
  const { random, now, devices } = options
  const lastSentMs = new Map<string, number>()
  const batteries = new Map<string, number>()
  let partitionedDay: number | undefined

  return async (client) => {
    const instant = now()
    const today = dayOf(instant)
    if (partitionedDay !== today) {
      await client.query('SELECT ensure_telemetry_partitions($1, $2)', [dayText(today), dayText(today + 2)])
      partitionedDay = today
    }
    const senders = chooseSenders()
    if (senders.length === 0) return
    const events = senders.flatMap((device) => composeEvents(device, instant.getTime()))
    await client.query(insertTelemetrySql, [JSON.stringify(events)])
  }

  /** One of the people with a login each time, so that their numbers move while they watch. */
  function chooseSenders(): DeviceInUse[] {
    const demoDevices = devices().filter(belongsToDemoPerson)
    const awake = devices().filter((device) => device.is_awake && !belongsToDemoPerson(device))
    const chosen = new Set<DeviceInUse>()
    if (demoDevices.length > 0) chosen.add(random.pick(demoDevices))
    for (let index = 0; index < devicesPerTick && awake.length > 0; index++) chosen.add(random.pick(awake))
    return [...chosen]
  }

  function composeEvents(device: DeviceInUse, atMs: number) {
    const { chip_id, kind, model_id, firmware_version } = device
    const traits = kindTraits[kind]
    const sinceMs = Math.min(atMs - (lastSentMs.get(chip_id) ?? atMs - minuteMs), 15 * minuteMs)
    lastSentMs.set(chip_id, atMs)
    const movements = Math.round(traits.perMinute * (sinceMs / minuteMs) * (0.3 + random.float() * 1.4))
    const isFaulty = model_id === faultyFirmware.modelId && firmware_version === faultyFirmware.faulty
    const battery = useBattery(chip_id, sinceMs)
    const event = {
      chip_id,
      recorded_at: new Date(atMs - random.integer(0, 900)).toISOString(),
      battery_percent: battery,
    }
    const message =
      movements === 0
        ? { ...event, signal: 'status' }
        : {
            ...event,
            signal: 'movement',
            movement_count: movements,
            active_ms: Math.round(Math.min(movements * traits.runMs * (0.7 + random.float() * 0.6), sinceMs)),
            response_time_ms: drawResponseTimeMs(random, traits.responseMs, {
              batteryPercent: battery,
              isFaulty,
            }),
          }
    const errorCode = drawErrorCode(random, isFaulty)
    return errorCode === undefined
      ? [message]
      : [message, { ...event, signal: 'error', error_code: errorCode }]
  }

  /** Drains by time in use, and is back on the charger before it is empty. */
  function useBattery(chipId: string, sinceMs: number): number {
    const before = batteries.get(chipId) ?? random.integer(45, 95)
    const after = before - (sinceMs / minuteMs) * 0.09
    const level = after < 9 ? random.integer(80, 100) : after
    batteries.set(chipId, level)
    return Math.floor(level)
  }
}
