import type { ClientBase } from 'pg'
import { z } from 'zod'
import { demoPeople } from './demo-people.ts'

const deviceInUse = z.object({
  prosthesis_id: z.string(),
  chip_id: z.string(),
  model_id: z.number(),
  kind: z.enum(['hand', 'arm', 'elbow', 'knee', 'foot', 'leg']),
  firmware_version: z.string(),
  customer_id: z.string(),
  email: z.string(),
  country: z.string(),
  is_awake: z.boolean(),
})

/** A prosthesis that is with a customer now. */
export type DeviceInUse = z.infer<typeof deviceInUse>

const selectDevicesInUseSql = `
  SELECT prosthesis.id AS prosthesis_id, prosthesis.chip_id, prosthesis.model_id, model.kind,
         prosthesis.firmware_version, customer.id AS customer_id, customer.email,
         customer.address ->> 'country' AS country,
         extract(hour FROM $1::timestamptz AT TIME ZONE customer.time_zone) BETWEEN 7 AND 21 AS is_awake
  FROM prostheses AS prosthesis
  JOIN prosthesis_models AS model ON model.id = prosthesis.model_id
  JOIN customers AS customer ON customer.id = prosthesis.customer_id
  WHERE prosthesis.returned_at IS NULL
  ORDER BY prosthesis.chip_id`

export async function readDevicesInUse(client: ClientBase, now: Date): Promise<DeviceInUse[]> {
  const { rows } = await client.query(selectDevicesInUseSql, [now])
  return deviceInUse.array().parse(rows)
}

const demoCustomerIds: string[] = Object.values(demoPeople).map(({ customerId }) => customerId)

/** Alice's and bob's rows in the CRM are for those who try the demo to change, not for the simulator. */
export function belongsToDemoPerson({ customer_id }: DeviceInUse): boolean {
  return demoCustomerIds.includes(customer_id)
}
