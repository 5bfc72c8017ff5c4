/** How numbers of one unit are shown: what they are multiplied by, and what stands behind them. */
export type Quantity = { factor: number; suffix: string; isPercent: boolean }

/** Units a fraction may be given in; people read it as percent. */
const fractions = new Set(['errors per event', 'ratio', '1'])
/** Units that say only that something was counted: the label says what. */
const counts = new Set(['', 'count'])

/** @param unit as the report's envelope names it; undefined when it names none */
export function quantityOf(unit: string | undefined): Quantity {
  if (unit === undefined || counts.has(unit)) return { factor: 1, suffix: '', isPercent: false }
  if (fractions.has(unit)) return { factor: 100, suffix: '%', isPercent: true }
  if (unit === 'percent' || unit === '%') return { factor: 1, suffix: '%', isPercent: true }
  return { factor: 1, suffix: unit, isPercent: false }
}

/** The number alone, without its unit: `1,204`. At most `digits` decimals, and at least `least`. */
export function numberText(value: number, quantity: Quantity, digits: number, least = 0): string {
  const decimals = { minimumFractionDigits: least, maximumFractionDigits: digits }
  return (value * quantity.factor).toLocaleString('en', decimals)
}

/** Number and unit: `231 ms`, with a narrow no-break space between them (SI brochure §5.4.3). */
export function quantityText(value: number, quantity: Quantity, digits: number, least = 0): string {
  const number = numberText(value, quantity, digits, least)
  return quantity.suffix ? `${number}\u202f${quantity.suffix}` : number
}

/** The same in a column, where decimals stand below each other: `5.30 %`. */
export const columnText = (value: number, quantity: Quantity, digits: number): string =>
  quantityText(value, quantity, digits, digits)
