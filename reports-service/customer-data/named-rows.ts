type Named = { prosthesis_id: string; serial_number: string; model: string }

/** The rows of these prostheses, each with what people know its prosthesis by: a table goes without what stands beside it. */
export function namedRows<Row extends { prosthesis_id: string }>(
  rows: readonly Row[],
  prostheses: readonly Named[],
): (Row & Named)[] {
  const byId = new Map(prostheses.map((prosthesis) => [prosthesis.prosthesis_id, prosthesis]))
  return rows.flatMap((row) => {
    const prosthesis = byId.get(row.prosthesis_id)
    if (!prosthesis) return []
    const { prosthesis_id, serial_number, model } = prosthesis
    return [{ ...row, prosthesis_id, serial_number, model }]
  })
}
