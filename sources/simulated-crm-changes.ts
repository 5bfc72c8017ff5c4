import type { ClientBase } from 'pg'
import { composeAddress, composeName, composeSettings } from './demo-crm.ts'
import { faultyFirmware, prosthesisModels } from './demo-models.ts'
import { demoRegions } from './demo-regions.ts'
import { belongsToDemoPerson, type DeviceInUse } from './devices-in-use.ts'
import type { Random } from './random.ts'
import { dayMs, dayOf, dayText } from './utc-days.ts'

/** Marks the customers the simulator made itself, the only ones it deletes. */
const simulatedMailDomain = 'simulated.example'

const changeAddressSql = 'UPDATE customers SET address = $2 WHERE id = $1'
const tuneSettingsSql = 'UPDATE prostheses SET settings = $2 WHERE id = $1'
const updateFirmwareSql = 'UPDATE prostheses SET firmware_version = $2 WHERE id = $1'
const returnProsthesisSql = 'UPDATE prostheses SET returned_at = $2 WHERE id = $1'

const addCustomerSql = `
  WITH customer AS (
    INSERT INTO customers (full_name, email, phone, date_of_birth, address, locale, time_zone)
    VALUES ($1, 'patient.' || gen_random_uuid() || '@' || $2::text, $3, $4, $5, $6, $7)
    RETURNING id
  )
  INSERT INTO prostheses
    (serial_number, chip_id, customer_id, model_id, side, firmware_version, settings, issued_at)
  SELECT 'TN' || $8::integer || '-' || chip, 'chip-' || chip, customer.id, $8, $9, $10, $11, $12
  FROM customer, substr(md5(gen_random_uuid()::text), 1, 8) AS chip`

/** A device that came back before today, with the same chip, for the next person. */
const reissueSql = `
  INSERT INTO prostheses
    (serial_number, chip_id, customer_id, model_id, side, firmware_version, settings, issued_at)
  SELECT serial_number, chip_id, $1, model_id, side, firmware_version, settings, $2::date
  FROM prostheses AS earlier
  WHERE returned_at < $2::date
    AND NOT EXISTS (
      SELECT FROM prostheses AS later
      WHERE later.chip_id = earlier.chip_id AND later.issued_at > earlier.issued_at
    )
  ORDER BY returned_at
  LIMIT 1`

const deleteCustomerSql = `
  WITH returned AS (DELETE FROM prostheses WHERE customer_id = $1)
  DELETE FROM customers WHERE id = $1`

type Change = { name: string; sql: string; values: unknown[] }

/**
 * One believable change of the CRM. Alice's and bob's rows are never touched.
 * @param devices those in use, as they are now
 */
export async function changeCrm(
  client: ClientBase,
  context: { random: Random; now: Date; devices: readonly DeviceInUse[] },
): Promise<string> {
  const others = context.devices.filter((device) => !belongsToDemoPerson(device))
  const change = others.length === 0 ? addCustomer(context) : drawChange(context.random, context.now, others)
  await client.query(change.sql, change.values)
  return change.name
}

function drawChange(random: Random, now: Date, others: DeviceInUse[]): Change {
  const device = random.pick(others)
  const draw = random.float()
  if (draw < 0.3) return changeAddress(random, device)
  if (draw < 0.6) return tuneSettings(random, device)
  if (draw < 0.78) return updateFirmware(device)
  if (draw < 0.87) return addCustomer({ random, now })
  if (draw < 0.9) {
    return { name: 'device reissued', sql: reissueSql, values: [device.customer_id, dayText(dayOf(now))] }
  }
  const simulated = others.filter(({ email }) => email.endsWith(`@${simulatedMailDomain}`))
  if (draw < 0.93 && simulated.length > 0) {
    return { name: 'customer deleted', sql: deleteCustomerSql, values: [random.pick(simulated).customer_id] }
  }
  const values = [device.prosthesis_id, dayText(dayOf(now))]
  return { name: 'prosthesis returned', sql: returnProsthesisSql, values }
}

function changeAddress(random: Random, { customer_id, country }: DeviceInUse): Change {
  const region = demoRegions.find((candidate) => candidate.country === country) ?? random.pick(demoRegions)
  const values = [customer_id, composeAddress(region, random)]
  return { name: 'address changed', sql: changeAddressSql, values }
}

function tuneSettings(random: Random, { prosthesis_id, kind }: DeviceInUse): Change {
  const values = [prosthesis_id, composeSettings({ kind }, random)]
  return { name: 'settings tuned', sql: tuneSettingsSql, values }
}

function updateFirmware({ prosthesis_id, firmware_version }: DeviceInUse): Change {
  const [major, minor, patch] = firmware_version.split('.')
  const next =
    firmware_version === faultyFirmware.faulty
      ? faultyFirmware.fixed
      : `${major}.${minor}.${Number(patch) + 1}`
  return { name: 'firmware updated', sql: updateFirmwareSql, values: [prosthesis_id, next] }
}

function addCustomer({ random, now }: { random: Random; now: Date }): Change {
  const region = random.pick(demoRegions)
  const model = random.pick(prosthesisModels)
  const values = [
    composeName(region, random),
    simulatedMailDomain,
    `${region.phonePrefix} ${random.integer(2_000_000, 9_999_999)}`,
    new Date(now.getTime() - random.integer(9 * 365, 84 * 365) * dayMs).toISOString().slice(0, 10),
    composeAddress(region, random),
    region.locale,
    region.timeZone,
    model.id,
    random.pick(['left', 'right']),
    `${model.generation + 2}.4.${random.integer(0, 9)}`,
    composeSettings(model, random),
    dayText(dayOf(now)),
  ]
  return { name: 'customer added', sql: addCustomerSql, values }
}
