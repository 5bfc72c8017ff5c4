import { faultyFirmware, type ProsthesisModel, prosthesisModels } from './demo-models.ts'
import { demoPeople } from './demo-people.ts'
import { type DemoRegion, demoRegions } from './demo-regions.ts'
import { createRandom, type Random } from './random.ts'
import { type DayNumber, dayMs, dayOf, dayText } from './utc-days.ts'

/** How much demo data there is. */
export type DemoVolume = { customers: number; prostheses: number; days: number }

export const fullVolume: DemoVolume = { customers: 200, prostheses: 260, days: 90 }

/** What the data is a function of: the same seed, instant and volume give the same bytes. */
export type DemoSeed = { seed: number; today: Date; volume: DemoVolume }

/** A row of `customers`. */
export type DemoCustomer = {
  id: string
  full_name: string
  email: string
  phone: string | null
  date_of_birth: string
  address: Record<string, string>
  locale: string
  time_zone: string
  created_at: string
}

/** A row of `prostheses`. */
export type DemoProsthesisRow = {
  id: string
  serial_number: string
  chip_id: string
  customer_id: string
  model_id: number
  side: 'left' | 'right'
  firmware_version: string
  settings: Record<string, unknown>
  issued_at: string
  returned_at: string | null
}

/** A prosthesis with what its telemetry is made from and the CRM does not know. */
export type DemoProsthesis = {
  row: DemoProsthesisRow
  model: ProsthesisModel
  utcOffsetHours: number
  issuedDay: DayNumber
  returnedDay: DayNumber | undefined
  /** The days on which it ran the faulty firmware, [from, to). */
  faultFromDay: DayNumber
  faultToDay: DayNumber
  /** Worn on every day, so that a demo has something to show. */
  wornDaily: boolean
}

export type DemoCrm = { models: ProsthesisModel[]; customers: DemoCustomer[]; prostheses: DemoProsthesis[] }

type Person = { customer: DemoCustomer; region: DemoRegion }

/** Share of the prostheses that were returned and given to somebody else, and of those only returned. */
const passedOnShare = 0.09
const returnedShare = 0.04

/** The demo's customers and prostheses. The first two customers are alice and bob. */
export function generateDemoCrm({ seed, today, volume }: DemoSeed): DemoCrm {
  const random = createRandom(seed)
  const lastDay = dayOf(today)
  const people = Array.from({ length: volume.customers }, (_, index) => createPerson(index, random, lastDay))

  const passedOnCount = Math.round(volume.prostheses * passedOnShare)
  const deviceCount = volume.prostheses - passedOnCount
  // Everybody has one; then alice is the first of those who have a second, for the other side, and bob not.
  const owners = [...people, people[0]!, ...people.slice(2)].slice(0, deviceCount)
  const prostheses: DemoProsthesis[] = []
  for (const [index, person] of owners.entries()) {
    const first = index < people.length ? undefined : prostheses[people.indexOf(person)]
    prostheses.push(createProsthesis({ index, person, first, random, lastDay, volume }))
  }
  const others = prostheses.filter(({ wornDaily }) => !wornDaily)
  for (const device of others.slice(0, passedOnCount)) {
    prostheses.push(passOn({ device, to: random.pick(people.slice(2)), random, lastDay, volume }))
  }
  for (const device of others.slice(passedOnCount, passedOnCount + Math.round(deviceCount * returnedShare))) {
    giveBack(device, lastDay - random.integer(1, volume.days - 1))
  }
  return { models: prosthesisModels, customers: people.map(({ customer }) => customer), prostheses }
}

function createPerson(index: number, random: Random, lastDay: DayNumber): Person {
  const demoPerson = [demoPeople.alice, demoPeople.bob][index]
  const countryOfDemoPerson = ['SE', 'GB'][index]
  const region =
    demoRegions.find(({ country }) => country === countryOfDemoPerson) ?? random.pick(demoRegions)
  const id = random.uuid()
  const name = composeName(region, random)
  const customer = {
    id: demoPerson?.customerId ?? id,
    full_name: demoPerson?.fullName ?? name,
    email: demoPerson?.email ?? `${mailName(name)}.${index}@example.org`,
    phone: random.chance(0.9) ? `${region.phonePrefix} ${random.integer(2_000_000, 9_999_999)}` : null,
    date_of_birth: dayText(lastDay - random.integer(9 * 365, 84 * 365)),
    address: composeAddress(region, random),
    locale: region.locale,
    time_zone: region.timeZone,
    created_at: new Date(
      (lastDay - random.integer(1_300, 1_600)) * dayMs + random.integer(7, 16) * 3_600_000,
    ).toISOString(),
  }
  return { customer, region }
}

export function composeName(region: DemoRegion, random: Random): string {
  const given = random.pick(region.givenNames)
  const family = random.pick(region.familyNames)
  return region.familyNameFirst ? `${family} ${given}` : `${given} ${family}`
}

/** The Latin letters of a name without their accents; names in other scripts become `patient`. */
function mailName(name: string): string {
  const letters = name
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('ł', 'l')
    .normalize('NFD')
    .replaceAll(/[^a-z ]/g, '')
  return letters.trim().replaceAll(/ +/g, '.') || 'patient'
}

export function composeAddress(region: DemoRegion, random: Random): Record<string, string> {
  const [city, postalCode, administrativeRegion] = random.pick(region.places)
  return {
    line1: region.line
      .replace('{street}', random.pick(region.streets))
      .replace('{number}', String(random.integer(1, 149))),
    postal_code: postalCode,
    city,
    ...(administrativeRegion !== undefined && { region: administrativeRegion }),
    country: region.country,
  }
}

function createProsthesis(creation: {
  index: number
  person: Person
  first: DemoProsthesis | undefined
  random: Random
  lastDay: DayNumber
  volume: DemoVolume
}): DemoProsthesis {
  const { index, person, first, random, lastDay, volume } = creation
  const { id: customerId } = person.customer
  const wornDaily = customerId === demoPeople.alice.customerId || customerId === demoPeople.bob.customerId
  const model = wornDaily ? modelOf(demoModelId(index)) : random.pick(prosthesisModels)
  // One in ten is new in these days; alice's and bob's are not.
  const isNew = !wornDaily && random.chance(0.1)
  const issuedDay =
    lastDay - (isNew ? random.integer(1, volume.days - 1) : random.integer(volume.days + 1, 1_200))
  const side = random.chance(0.5) ? 'left' : 'right'
  const rollOutDay = lastDay - random.integer(28, 40)
  const fixDay = random.chance(0.4) || index === 0 ? lastDay - random.integer(3, 12) : undefined
  const hasFaulty = model.id === faultyFirmware.modelId
  return {
    row: {
      id: random.uuid(),
      serial_number: `TN${model.id}-${String(40_000 + index * 7)}`,
      chip_id: `chip-${random.integer(0x1000_0000, 0xffff_ffff).toString(16)}`,
      customer_id: customerId,
      model_id: model.id,
      side: first === undefined ? side : otherSide(first.row.side),
      firmware_version: hasFaulty
        ? faultyFirmware[fixDay === undefined ? 'faulty' : 'fixed']
        : `${model.generation + 2}.${random.integer(0, 3)}.${random.integer(0, 9)}`,
      settings: composeSettings(model, random),
      issued_at: dayText(issuedDay),
      returned_at: null,
    },
    model,
    utcOffsetHours: person.region.utcOffsetHours,
    issuedDay,
    returnedDay: undefined,
    faultFromDay: hasFaulty ? rollOutDay : Number.POSITIVE_INFINITY,
    faultToDay: fixDay ?? Number.POSITIVE_INFINITY,
    wornDaily,
  }
}

/** Alice's first is of the model whose firmware failed, so that a login shows it, and her second is not. */
function demoModelId(index: number): number {
  if (index === 0) return faultyFirmware.modelId
  return index === 1 ? 301 : 101
}

function otherSide(side: 'left' | 'right'): 'left' | 'right' {
  return side === 'left' ? 'right' : 'left'
}

function modelOf(id: number): ProsthesisModel {
  return prosthesisModels.find((model) => model.id === id)!
}

export function composeSettings(
  { kind }: Pick<ProsthesisModel, 'kind'>,
  random: Random,
): Record<string, unknown> {
  const sensitivity_percent = random.integer(30, 95)
  if (kind === 'hand' || kind === 'arm' || kind === 'elbow') {
    const modes = ['power', 'pinch', 'key', 'tripod', 'point'].slice(0, random.integer(2, 5))
    return { sensitivity_percent, grip_force_percent: random.integer(35, 100), modes }
  }
  return { sensitivity_percent, swing_damping: random.integer(10, 90) / 100, stairs: random.chance(0.7) }
}

/** Ends one customer's time with the device and begins another's, some days later: the chip stays. */
function passOn(change: {
  device: DemoProsthesis
  to: Person
  random: Random
  lastDay: DayNumber
  volume: DemoVolume
}): DemoProsthesis {
  const { device, to, random, lastDay, volume } = change
  giveBack(device, lastDay - random.integer(3, volume.days - 1))
  const issuedDay = Math.min(device.returnedDay! + random.integer(0, 9), lastDay - 1)
  return {
    ...device,
    row: {
      ...device.row,
      id: random.uuid(),
      customer_id: to.customer.id,
      settings: composeSettings(device.model, random),
      issued_at: dayText(issuedDay),
      returned_at: null,
    },
    utcOffsetHours: to.region.utcOffsetHours,
    issuedDay,
    returnedDay: undefined,
  }
}

/** A device that was issued later than it would come back was issued earlier. */
function giveBack(device: DemoProsthesis, returnedDay: DayNumber): void {
  device.issuedDay = Math.min(device.issuedDay, returnedDay - 30)
  device.returnedDay = returnedDay
  device.row.issued_at = dayText(device.issuedDay)
  device.row.returned_at = dayText(returnedDay)
}
