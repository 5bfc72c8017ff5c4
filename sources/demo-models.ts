export type ProsthesisKind = 'hand' | 'arm' | 'elbow' | 'knee' | 'foot' | 'leg'

export type ProsthesisModel = {
  id: number
  name: string
  kind: ProsthesisKind
  generation: number
  /** As text: numerics are exact in the database and stay so on the way there. */
  weight_grams: string
  list_price: string
  features: string[]
  released_on: string
}

/** The catalogue of the demo. */
export const prosthesisModels: ProsthesisModel[] = [
  {
    id: 101,
    name: 'Aria Hand',
    kind: 'hand',
    generation: 1,
    weight_grams: '498.5',
    list_price: '18990.00',
    features: ['five grips', 'proportional speed'],
    released_on: '2019-03-04',
  },
  {
    id: 102,
    name: 'Aria Hand 2',
    kind: 'hand',
    generation: 2,
    weight_grams: '441.0',
    list_price: '23490.00',
    features: ['nine grips', 'proportional speed', 'water-resistant'],
    released_on: '2022-09-12',
  },
  {
    id: 111,
    name: 'Aria Hand Petite',
    kind: 'hand',
    generation: 2,
    weight_grams: '352.3',
    list_price: '24150.00',
    features: ['seven grips', 'for small hands'],
    released_on: '2023-05-22',
  },
  {
    id: 201,
    name: 'Brace Arm',
    kind: 'arm',
    generation: 1,
    weight_grams: '1420.0',
    list_price: '39800.00',
    features: ['wrist rotation', 'pattern recognition'],
    released_on: '2020-11-02',
  },
  {
    id: 211,
    name: 'Brace Elbow',
    kind: 'elbow',
    generation: 1,
    weight_grams: '980.7',
    list_price: '31250.50',
    features: ['free swing', '“soft lock”'],
    released_on: '2021-06-14',
  },
  {
    id: 301,
    name: 'Stride Knee',
    kind: 'knee',
    generation: 3,
    weight_grams: '1235.0',
    list_price: '42900.00',
    features: ['stumble recovery', 'stairs', 'cycling'],
    released_on: '2021-01-18',
  },
  {
    id: 311,
    name: 'Stride Foot',
    kind: 'foot',
    generation: 2,
    weight_grams: '760.4',
    list_price: '16780.00',
    features: ['slope adaptation'],
    released_on: '2020-04-27',
  },
  {
    id: 321,
    name: 'Stride Leg',
    kind: 'leg',
    generation: 1,
    weight_grams: '2310.0',
    list_price: '58400.00',
    features: ['stairs', 'powered ankle', 'running mode'],
    released_on: '2024-02-05',
  },
]

/** On this model a firmware shipped that fails: more errors and slower movements until it is updated again. */
export const faultyFirmware = {
  modelId: 102,
  faulty: '4.2.0',
  fixed: '4.2.1',
  errorCodes: ['E217', 'E217', 'E217', 'E218'],
}
